// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting

/// Rows for the requests that `rr` sends, and the responses that it prints.
enum RequestRows {
    private static func request(
        _ name: String, _ arguments: String..., version: String = "5", input: String = "", answer: WirePublish = .answer
    ) -> Row {
        let script = Row.Script(sends: [(.publish, answer.bytes(isV5: version == "5"))])
        return Row(
            name: "rr: \(name)", command: .rr, arguments: ["-t", "ask", "-e", "answer", "-V", version] + arguments,
            input: Array(input.utf8), scene: .recorded(script), varies: [.order, .farewell])
    }

    static let all: [Row] = [
        request("-m", "-m", "x"),
        request("-m, 3.1.1", "-m", "x", version: "311"),
        request("-n", "-n"),
        request("-f", "-f", "{folder}/f"),
        request("-s", "-s", input: "in\nput"),
        request("-q 1", "-m", "x", "-q", "1"),
        request("-q 2", "-m", "x", "-q", "2"),
        request("-v", "-m", "x", "-v"),
        request("-N", "-m", "x", "-N"),
        request("-R", "-m", "x", "-R"),
        request("-F", "-m", "x", "-F", "%t %p %R %D %P"),
        request("-F %j", "-m", "x", "-F", "%j"),
        request("--pretty", "-m", "x", "-F", "%j", "--pretty"),
        request("-D publish", "-m", "x", "-D", "publish", "user-property", "n", "v"),
        request("-D publish correlation-data", "-m", "x", "-D", "publish", "correlation-data", "mine"),
        request("-W, answered", "-m", "x", "-W", "5"),
        row(.rr, "-W", "-t", "ask", "-e", "answer", "-m", "x", "-W", "3", varies: [.order, .farewell]),
        row(.rr, "no -V", "-t", "ask", "-e", "answer", "-m", "x", "-W", "3", "-q", "1", varies: [.order, .farewell]),
        request("a retained answer", "-m", "x", answer: WirePublish(topic: "answer", payload: [0x31], retain: true)),
        request("an empty answer", "-m", "x", "-v", answer: WirePublish(topic: "answer", payload: [])),
    ].map { row in
        var row = row
        if row.name == "rr: -f" { row.files = ["f": "file"] }
        return row
    }
}

extension WirePublish {
    fileprivate static let answer = WirePublish(topic: "answer", payload: Array("forty-two".utf8))
}

// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting

/// Rows for the messages that `pub` sends.
enum PublishRows {
    static let all: [Row] = sources + qualities + repetitions + properties + configuration

    private static let sources: [Row] = [
        row(.pub, "-m", "-t", "a/b", "-m", "hello"),
        row(.pub, "--topic and --message", "--topic", "a/b", "--message", "hello"),
        row(.pub, "an empty -m", "-t", "a", "-m", ""),
        row(.pub, "a message that looks like a flag", "-t", "a", "-m", "-n"),
        row(.pub, "a topic that looks like a flag", "-t", "-t", "-m", "x"),
        row(.pub, "UTF-8", "-t", "ünï/😀", "-m", "ü 😀"),
        row(.pub, "-n", "-t", "a", "-n"),
        row(.pub, "--null-message", "-t", "a", "--null-message", "--retain"),
        row(.pub, "-f", "-t", "a", "-f", "{folder}/content", files: ["content": "line 1\nline 2\n"]),
        row(.pub, "--file", "-t", "a", "--file", "{folder}/content", files: ["content": "x"]),
        row(.pub, "-f with an empty file", "-t", "a", "-f", "{folder}/content", files: ["content": ""]),
        row(.pub, "-f without a file", "-t", "a", "-f", "{folder}/nothing"),
        row(.pub, "-s", "-t", "a", "-s", input: "one\ntwo\n"),
        row(.pub, "--stdin-file", "-t", "a", "--stdin-file", "-q", "1", input: "one"),
        row(.pub, "-s without input", "-t", "a", "-s"),
        row(.pub, "-l", "-t", "a", "-l", input: "one\ntwo\nthree\n"),
        row(.pub, "--stdin-line", "-t", "a", "--stdin-line", input: "one\n"),
        row(.pub, "-l without a last newline", "-t", "a", "-l", input: "one\ntwo"),
        row(.pub, "-l with empty lines", "-t", "a", "-l", input: "one\n\n\ntwo\n"),
        row(.pub, "-l without input", "-t", "a", "-l"),
        row(.pub, "-l with QoS 1", "-t", "a", "-l", "-q", "1", input: "one\ntwo\nthree\n", varies: [.order]),
        row(.pub, "-l with QoS 2", "-t", "a", "-l", "-q", "2", input: "one\ntwo\n", varies: [.order]),
        row(.pub, "-l -r", "-t", "a", "-l", "-r", input: "one\ntwo\n"),
        row(.pub, "-l with a long line", "-t", "a", "-l", input: String(repeating: "long ", count: 3_000) + "\nx\n"),
        row(.pub, "-l with carriage returns", "-t", "a", "-l", input: "one\r\ntwo\r\n"),
    ]

    private static let qualities: [Row] =
        ["311", "mqttv311", "5", "mqttv5"].flatMap { version in
            ["0", "1", "2"].flatMap { qos in
                [
                    row(.pub, "-V \(version) -q \(qos)", "-t", "a", "-m", "x", "-V", version, "-q", qos),
                    row(
                        .pub, "-V \(version) --qos \(qos) -r", "-t", "a", "-m", "x", "--protocol-version", version,
                        "--qos", qos,
                        "-r"),
                ]
            }
        } + [
            row(.pub, "-V 31", "-t", "a", "-m", "x", "-V", "31"),
            row(.pub, "-V mqttv31", "-t", "a", "-m", "x", "-V", "mqttv31"),
        ]

    private static let repetitions: [Row] = [
        row(.pub, "--repeat", "-t", "a", "-m", "x", "--repeat", "3"),
        row(.pub, "--repeat with QoS 1", "-t", "a", "-m", "x", "--repeat", "3", "-q", "1"),
        row(.pub, "--repeat with QoS 2", "-t", "a", "-m", "x", "--repeat", "2", "-q", "2"),
        row(.pub, "--repeat-delay", "-t", "a", "-m", "x", "--repeat", "2", "--repeat-delay", "0.05"),
        row(.pub, "--repeat -n", "-t", "a", "-n", "--repeat", "2"),
        row(.pub, "--repeat -f", "-t", "a", "-f", "{folder}/f", "--repeat", "2", files: ["f": "file"]),
        row(.pub, "--repeat -s", "-t", "a", "-s", "--repeat", "2", input: "in"),
        row(.pub, "-M", "-t", "a", "-l", "-q", "1", "-M", "1", input: "one\ntwo\nthree\n"),
        row(.pub, "-M with QoS 2", "-t", "a", "-l", "-q", "2", "-M", "1", input: "one\ntwo\n"),
    ]

    private static func property(_ name: String, _ command: String, _ words: String...) -> Row {
        Row(
            name: "pub: -D \(command) \(name)", command: .pub,
            arguments: ["-t", "a", "-m", "x", "-V", "5", "-D", command, name] + words
                + (command == "will" ? ["--will-topic", "w"] : []))
    }

    private static let properties: [Row] = [
        property("payload-format-indicator", "publish", "1"),
        property("message-expiry-interval", "publish", "4294967295"),
        property("content-type", "publish", "text/plain"),
        property("response-topic", "publish", "re/ply"),
        property("correlation-data", "publish", "c1"),
        property("user-property", "publish", "name", "value"),
        property("topic-alias", "publish", "1"),
        property("session-expiry-interval", "connect", "60"),
        property("receive-maximum", "connect", "7"),
        property("maximum-packet-size", "connect", "70000"),
        property("topic-alias-maximum", "connect", "3"),
        property("request-response-information", "connect", "1"),
        property("request-problem-information", "connect", "0"),
        property("authentication-method", "connect", "m"),
        property("user-property", "connect", "name", "value"),
        property("reason-string", "disconnect", "bye"),
        property("session-expiry-interval", "disconnect", "0"),
        property("user-property", "disconnect", "name", "value"),
        property("will-delay-interval", "will", "5"),
        property("payload-format-indicator", "will", "0"),
        property("message-expiry-interval", "will", "6"),
        property("content-type", "will", "text/plain"),
        property("response-topic", "will", "re/ply"),
        property("correlation-data", "will", "c2"),
        property("user-property", "will", "name", "value"),
        row(
            .pub, "--property, which makes it 5.0", "-t", "a", "-m", "x", "--property", "publish", "content-type", "c"),
        row(
            .pub, "two user properties", "-t", "a", "-m", "x", "-D", "publish", "user-property", "a", "1", "-D",
            "publish",
            "user-property", "a", "2", "-q", "1"),
        row(
            .pub, "properties in another order", "-t", "a", "-m", "x", "-D", "publish", "user-property", "a", "1", "-D",
            "publish", "content-type", "c"),
        row(
            .pub, "--repeat with a topic alias", "-t", "a", "-m", "x", "-D", "publish", "topic-alias", "2", "--repeat",
            "3",
            scene: .recorded(.init(connackProperties: [0x22, 0, 10]))),
        row(.pub, "properties with 3.1.1", "-t", "a", "-m", "x", "-D", "publish", "content-type", "c", "-V", "311"),
    ]

    private static let configuration: [Row] = [
        row(
            .pub, "an options file", "-m", "x",
            files: ["mosquitto_pub": "# a comment\n-t from/file\n--qos 1\n\n-r\n"]),
        row(
            .pub, "an options file, and arguments that count more", "-t", "a", "-m", "x", "-q", "0",
            files: ["mosquitto_pub": "-q 2\n-t b\n-u user\n"]),
        row(
            .pub, "an options file with spaces in a value", "-t", "a",
            files: ["mosquitto_pub": "-m several words in one\n"]),
        row(
            .pub, "an options file with the broker", "-t", "a", "-m", "x",
            files: ["mosquitto_pub": "-h 127.0.0.1\n-p {port}\n-i side\n"], hasConnection: false),
        row(.pub, "an options file of another command", "-t", "a", "-m", "x", files: ["mosquitto_sub": "-q 2\n"]),
        row(.pub, "an options file with a mistake", "-t", "a", "-m", "x", files: ["mosquitto_pub": "--wrong\n"]),
    ]
}

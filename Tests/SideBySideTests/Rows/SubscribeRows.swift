// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting

/// Rows for the subscriptions of `sub`, and the messages that it prints.
enum SubscribeRows {
    static let all: [Row] = output + requests + ends + sessions + real

    /// A subscriber that receives ``WirePublish/samples``.
    static func sampled(_ name: String, _ arguments: String..., varies: Set<Row.Variation> = []) -> Row {
        sampled(name, arguments, varies: varies)
    }

    static func sampled(_ name: String, _ arguments: [String], varies: Set<Row.Variation> = []) -> Row {
        let isV5 = arguments.contains("5") || arguments.contains("mqttv5")
        let script = Row.Script(sends: [(.subscribe, WirePublish.samples(isV5: isV5))])
        return Row(
            name: "sub: \(name)", command: .sub, arguments: ["-t", "#"] + arguments, scene: .recorded(script),
            varies: varies.union([.order, .farewell]))
    }

    private static let output: [Row] = [
        sampled("plain", "-C", "8"),
        sampled("plain, 5.0", "-C", "8", "-V", "5"),
        sampled("-v", "-v", "-C", "8"),
        sampled("--verbose, 5.0", "--verbose", "-C", "8", "-V", "5"),
        sampled("-N", "-N", "-C", "8"),
        sampled("-N -v", "-N", "-v", "-C", "8"),
        sampled("-R", "-R", "-C", "7"),
        sampled("-R -v", "-R", "-v", "-C", "7"),
        sampled("-R, 5.0", "-R", "-C", "7", "-V", "5"),
        sampled("--retained-only", "--retained-only"),
        sampled("--retained-only -C", "--retained-only", "-C", "1"),
        sampled("-T", "-T", "a/+", "-C", "3", "-v"),
        sampled("--filter-out, twice", "--filter-out", "a/text", "-T", "b/#", "-C", "5", "-v"),
        sampled("-C 1", "-C", "1"),
        sampled("-C 3", "-C", "3", "-v"),
        sampled("--quiet", "--quiet", "-C", "8"),
        sampled("--random-filter", "--random-filter", "100", "-C", "8"),
        sampled("--nodelay", "--nodelay", "-C", "8"),
    ]

    private static func requested(_ name: String, _ arguments: String...) -> Row {
        Row(name: "sub: \(name)", command: .sub, arguments: arguments + ["-E"], varies: [.farewell])
    }

    private static let requests: [Row] = [
        requested("-E", "-t", "a"),
        requested("--topic", "--topic", "a/+/b/#"),
        requested("-q 1", "-t", "a", "-q", "1"),
        requested("--qos 2", "-t", "a", "--qos", "2"),
        requested("two topics", "-t", "a", "-t", "b"),
        requested("two topics, not in alphabetical order", "-t", "b", "-t", "a"),
        requested("two topics, 5.0", "-t", "a", "-t", "b", "-V", "5", "-q", "2"),
        requested("a shared subscription", "-t", "$share/g/a", "-V", "5"),
        requested("--retain-as-published", "-t", "a", "--retain-as-published", "-V", "5"),
        requested("--retain-as-published, 3.1.1", "-t", "a", "--retain-as-published"),
        requested("-R, which asks for none", "-t", "a", "-R", "-V", "5"),
        requested("-D subscribe", "-t", "a", "-D", "subscribe", "user-property", "n", "v"),
        requested("-D subscribe subscription-identifier", "-t", "a", "-D", "subscribe", "subscription-identifier", "5"),
        requested("-D unsubscribe", "-t", "a", "-U", "b", "-D", "unsubscribe", "user-property", "n", "v"),
        requested("-U", "-t", "a", "-U", "b"),
        requested("--unsubscribe, twice", "-t", "a", "--unsubscribe", "b", "-U", "c/#"),
        requested("-V mqttv31", "-t", "a", "-V", "mqttv31"),
        requested("an options file"),
    ].map { row in
        var row = row
        if row.name.hasSuffix("options file") { row.files = ["mosquitto_sub": "-t from/file\n-q 1\n-v\n"] }
        return row
    }

    private static let ends: [Row] = [
        row(.sub, "-W", "-t", "a", "-W", "3", varies: [.farewell]),
        row(.sub, "-W, 5.0", "-t", "a", "-W", "3", "-V", "5", varies: [.farewell]),
        row(.sub, "-W, --quiet", "-t", "a", "-W", "3", "--quiet", varies: [.farewell]),
        row(.sub, "a filter that is refused", "-t", "$share/bad", "-W", "4", "-V", "5"),
        row(
            .sub, "--remove-retained", "-t", "kept/+", "--remove-retained", "-C", "1",
            scene: .recorded(.init(retained: [("kept/1", "one")])), varies: [.order, .farewell]),
        row(
            .sub, "--remove-retained and -T", "-t", "kept/+", "--remove-retained", "-T", "kept/1", "-C", "1",
            scene: .recorded(.init(retained: [("kept/1", "one"), ("kept/2", "two")])), varies: [.order, .farewell]),
        row(
            .sub, "the broker ends the connection", "-t", "a", "-W", "6",
            scene: .recorded(.init(behavior: .disconnectOn(.subscribe, reasonCode: 0x8B)))),
        row(
            .sub, "the broker ends the connection, 5.0", "-t", "a", "-W", "6", "-V", "5",
            scene: .recorded(.init(behavior: .disconnectOn(.subscribe, reasonCode: 0x8B)))),
    ]

    private static let sessions: [Row] = [
        requested("-c", "-t", "a", "-c", "-q", "1"),
        requested("--disable-clean-session, 5.0", "-t", "a", "--disable-clean-session", "-V", "5"),
        requested("-c -x, 5.0", "-t", "a", "-c", "-x", "60", "-V", "5"),
        requested("-x without -c, 5.0", "-t", "a", "-x", "60", "-V", "5"),
        requested("-x -1, 5.0", "-t", "a", "-x", "-1", "-V", "5"),
        requested("-x ∞, 5.0", "-t", "a", "-x", "∞", "-V", "5"),
        requested("-x 0 -c, 5.0", "-t", "a", "-x", "0", "-c", "-V", "5"),
    ]

    private static func fixed(_ name: String, _ arguments: String...) -> Row {
        Row(
            name: "sub: mosquitto, \(name)", command: .sub, arguments: arguments, scene: .mosquitto,
            hasConnection: false
        ).connected(as: name)
    }

    /// With a mosquitto and its retained messages.
    private static let real: [Row] = [
        fixed("plain", "-t", "fixed/+", "-C", "4"),
        fixed("-v", "-t", "fixed/#", "-v", "-C", "4", "-q", "2"),
        fixed("5.0", "-t", "fixed/#", "-v", "-C", "4", "-q", "2", "-V", "5"),
        fixed("%j", "-t", "fixed/#", "-F", "%j", "-C", "4", "-q", "2", "-V", "5"),
        fixed("%J", "-t", "fixed/json", "-F", "%J", "-C", "1", "-q", "1", "-V", "5"),
        fixed("%J of no JSON", "-t", "fixed/text", "-F", "%J", "-C", "1"),
        fixed("--pretty", "-t", "fixed/#", "-F", "%j", "--pretty", "-C", "4", "-q", "1", "-V", "5"),
        fixed("properties", "-t", "fixed/properties", "-F", "%C %D %E %F %P %R %S %m", "-C", "1", "-q", "2", "-V", "5"),
        fixed(
            "a subscription identifier", "-t", "fixed/text", "-F", "%S", "-C", "1", "-V", "5", "-D", "subscribe",
            "subscription-identifier", "5"),
        fixed("overlapping filters", "-t", "fixed/text", "-t", "fixed/+", "-C", "5", "-W", "4"),
        fixed("overlapping filters, QoS 1", "-t", "fixed/json", "-t", "fixed/+", "-C", "5", "-W", "4", "-q", "1"),
        fixed(
            "overlapping filters, 5.0", "-t", "fixed/text", "-t", "fixed/+", "-t", "#", "-C", "12", "-W", "4", "-V",
            "5",
            "-F", "%t %S"),
        fixed("-R", "-t", "fixed/+", "-R", "-W", "3"),
        fixed("--retained-only", "-t", "fixed/+", "--retained-only", "-C", "4", "-v"),
        fixed("-T", "-t", "fixed/+", "-T", "fixed/binary", "-C", "3", "-v"),
        fixed(
            "--retain-as-published", "-t", "fixed/text", "--retain-as-published", "-V", "5", "-C", "1", "-F", "%r %t"),
        fixed("an invalid filter for the broker", "-t", "$share/x", "-V", "5", "-W", "4"),
    ]
}

extension Row {
    /// A client identifier of its own for each row and program: they run at the same time.
    fileprivate func connected(as name: String) -> Row {
        var row = self
        row.arguments = ["-h", "127.0.0.1", "-p", "{port}"] + arguments
        return row
    }
}

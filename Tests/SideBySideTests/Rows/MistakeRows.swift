// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting

/// Rows with invalid arguments. Both commands exit with the same status before they connect; `mosq` names the argument.
enum MistakeRows {
    private static func mistake(_ command: Row.Command, _ arguments: String..., names complaint: String) -> Row {
        let needed = command == .sub ? ["-t", "a"] : command == .rr ? ["-t", "a", "-e", "b"] : ["-t", "a"]
        var row = Row(
            name: "\(command.rawValue): mistake \(arguments.joined(separator: " "))", command: command,
            arguments: needed + arguments, scene: .nobody)
        row.complaint = complaint
        return row
    }

    private static func bare(_ command: Row.Command, _ arguments: String..., names complaint: String?) -> Row {
        var row = Row(
            name: "\(command.rawValue): only \(arguments.isEmpty ? "the name" : arguments.joined(separator: " "))",
            command: command, arguments: arguments, scene: .nobody, hasConnection: false)
        row.complaint = complaint
        return row
    }

    static let all: [Row] = incomplete + wrong + combined + ofOthers + alone

    private static let alone: [Row] = [
        bare(.pub, names: "topic"), bare(.sub, names: "topic"), bare(.rr, names: "topic"),
        bare(.pub, "-t", "a", names: "message"), bare(.pub, "-m", "x", names: "topic"),
        bare(.rr, "-t", "a", "-m", "x", names: "topic"),
        bare(.pub, "--help", names: nil), bare(.sub, "--help", names: nil), bare(.rr, "--help", names: nil),
        bare(.pub, "--version", names: nil), bare(.sub, "--version", names: nil), bare(.rr, "--version", names: nil),
    ]

    /// The flags that mosquitto's commands report under their other name.
    private static let complaints = ["-D": "--property", "-V": "--protocol-version", "--host": "-h"]

    /// Each flag with a value, without it.
    private static let incomplete: [Row] =
        [
            "-A", "--cafile", "--capath", "--cert", "--ciphers", "-f", "-h", "--host", "-i", "-I", "-k", "--key",
            "--keyform", "-L",
            "-m", "-M", "-p", "-P", "--proxy", "--psk", "--psk-identity", "-q", "--repeat", "--repeat-delay", "-t",
            "--tls-alpn",
            "--tls-engine", "--tls-engine-kpass-sha1", "--tls-version", "-u", "--unix", "-V", "-x", "--will-payload",
            "--will-qos", "--will-topic", "-D",
        ].map { mistake(.pub, $0, names: complaints[$0] ?? $0) }
        + ["-C", "-F", "--random-filter", "-T", "-U", "-W"].map { mistake(.sub, $0, names: $0) } + [
            mistake(.rr, "-e", names: "-e")
        ]

    private static let wrong: [Row] = [
        mistake(.pub, "-m", "x", "--unknown", names: "--unknown"),
        mistake(.pub, "-m", "x", "word", names: "word"),
        mistake(.pub, "-m", "x", "-Z", names: "-Z"),
        mistake(.pub, "-m", "x", "-S", names: "-S"),
        mistake(.pub, "-m", "x", "-p", "65536", names: "65536"),
        mistake(.pub, "-m", "x", "-p", "-1", names: "-1"),
        mistake(.pub, "-m", "x", "-k", "4", names: "keepalive"),
        mistake(.pub, "-m", "x", "-k", "65536", names: "keepalive"),
        mistake(.pub, "-m", "x", "-q", "3", names: "QoS"),
        mistake(.pub, "-m", "x", "-q", "-1", names: "QoS"),
        mistake(.pub, "-m", "x", "-M", "0", names: "inflight"),
        mistake(.pub, "-m", "x", "-V", "6", names: "protocol version"),
        mistake(.pub, "-m", "x", "--repeat", "0", names: "--repeat"),
        mistake(.pub, "-m", "x", "--repeat-delay", "-1", names: "--repeat-delay"),
        mistake(.pub, "-m", "x", "--will-qos", "3", "--will-topic", "w", names: "will QoS"),
        mistake(.pub, "-m", "x", "--will-topic", "w/#", names: "w/#"),
        mistake(.pub, "-m", "x", "-t", "b/#", names: "b/#"),
        mistake(.pub, "-m", "x", "-t", "b/+", names: "b/+"),
        mistake(.pub, "-m", "x", "-L", "http://h/t", names: "URL"),
        mistake(.pub, "-m", "x", "-L", "mqtt://h", names: "topic"),
        mistake(.pub, "-m", "x", "--proxy", "ftp://h", names: "proxy"),
        mistake(.pub, "-m", "x", "-x", "abc", names: "session"),
        mistake(.pub, "-m", "x", "-x", "-2", names: "session"),
        mistake(.pub, "-m", "x", "--tls-version", "tlsv9", "--cafile", "/dev/null", names: "tls"),
        mistake(.pub, "-m", "x", "--cafile", "/nonexistent", names: "TLS"),
        mistake(.pub, "-m", "x", "-D", "publish", "content-type", names: "--property"),
        mistake(.pub, "-m", "x", "-D", "nothing", "content-type", "c", names: "command"),
        mistake(.pub, "-m", "x", "-D", "publish", "nothing", "c", names: "property name"),
        mistake(.pub, "-m", "x", "-D", "publish", "receive-maximum", "1", names: "receive-maximum"),
        mistake(.pub, "-m", "x", "-D", "publish", "payload-format-indicator", "300", names: "payload-format-indicator"),
        mistake(.pub, "-m", "x", "-D", "publish", "topic-alias", "70000", names: "topic-alias"),
        mistake(.sub, "-C", "0", names: "count"),
        mistake(.sub, "-C", "-1", names: "count"),
        mistake(.sub, "-W", "0", names: "timeout"),
        mistake(.sub, "-t", "a/#/b", names: "a/#/b"),
        mistake(.sub, "-t", "a+", names: "a+"),
        mistake(.sub, "-T", "a/#/b", names: "a/#/b"),
        mistake(.sub, "-U", "a/#/b", names: "a/#/b"),
        mistake(.sub, "-F", "%", names: "-F"),
        mistake(.sub, "-F", "%z", names: "'z'"),
        mistake(.sub, "-F", "%0-3t", names: "'-'"),
        mistake(.sub, "-F", "@", names: "-F"),
        mistake(.sub, "-F", #"\"#, names: "-F"),
        mistake(.sub, "-F", #"\q"#, names: "'q'"),
        mistake(.sub, "--random-filter", "0", names: "--random-filter"),
        mistake(.sub, "--random-filter", "101", names: "--random-filter"),
        mistake(.rr, "-m", "x", "-e", "b/#", names: "b/#"),
    ]

    private static let combined: [Row] = [
        mistake(.pub, "-m", "x", "-n", names: "one type of message"),
        mistake(.pub, "-m", "x", "-m", "y", names: "one type of message"),
        mistake(.pub, "-l", "-s", names: "one type of message"),
        mistake(.pub, "-m", "x", "-I", "prefix", names: "-I"),
        mistake(.pub, "-m", "x", "--will-payload", "x", names: "Will payload"),
        mistake(.pub, "-m", "x", "--will-retain", names: "Will retain"),
        mistake(.pub, "-m", "x", "--cert", "/dev/null", names: "keyfile"),
        mistake(.pub, "-m", "x", "--key", "/dev/null", names: "certfile"),
        mistake(.pub, "-m", "x", "--keyform", "pem", names: "keyform"),
        mistake(.pub, "-m", "x", "--psk", "ab", names: "--psk-identity"),
        mistake(.pub, "-m", "x", "--psk", "ab", "--psk-identity", "i", "--cafile", "/dev/null", names: "--psk"),
        mistake(.pub, "-m", "x", "--tls-engine-kpass-sha1", "ab", names: "kpass"),
        mistake(.sub, "-R", "--retained-only", names: "--retained-only"),
        bare(.sub, "-t", "a", "-c", names: "client id"),
        bare(.sub, "-t", "a", "-c", "-V", "5", names: "client id"),
        bare(.pub, "-t", "a", "-m", "x", "-I", "p", "-c", names: "client id"),
    ]

    /// Flags of one command, given to another.
    private static let ofOthers: [Row] = [
        mistake(.pub, "-m", "x", "-v", names: "-v"), mistake(.pub, "-m", "x", "-F", "%p", names: "-F"),
        mistake(.pub, "-m", "x", "-C", "1", names: "-C"), mistake(.pub, "-m", "x", "-W", "1", names: "-W"),
        mistake(.pub, "-m", "x", "-e", "b", names: "-e"), mistake(.pub, "-m", "x", "-U", "b", names: "-U"),
        mistake(.pub, "-m", "x", "--pretty", names: "--pretty"), mistake(.pub, "-m", "x", "-N", names: "-N"),
        mistake(.sub, "-m", "x", names: "-m"), mistake(.sub, "-r", names: "-r"), mistake(.sub, "-l", names: "-l"),
        mistake(.sub, "--repeat", "2", names: "--repeat"), mistake(.sub, "-e", "b", names: "-e"),
        mistake(.sub, "-n", names: "-n"), mistake(.sub, "-s", names: "-s"),
        mistake(.rr, "-m", "x", "-C", "1", names: "-C"), mistake(.rr, "-m", "x", "-U", "b", names: "-U"),
        mistake(.rr, "-m", "x", "--repeat", "2", names: "--repeat"), mistake(.rr, "-m", "x", "-l", names: "-l"),
    ]
}

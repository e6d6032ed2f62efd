// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting

/// Rows for the CONNECT of a client, and for its behavior when the broker refuses it.
enum ConnectionRows {
    static let all: [Row] = introductions + addresses + refusals + tls

    private static func introduced(_ name: String, _ arguments: String..., varies: Set<Row.Variation> = []) -> Row {
        Row(
            name: "pub: \(name)", command: .pub, arguments: ["-t", "a", "-m", "x"] + arguments, varies: varies)
    }

    private static let introductions: [Row] = [
        introduced("-k", "-k", "30"),
        introduced("--keepalive", "--keepalive", "65535"),
        introduced("-u", "-u", "user"),
        introduced("-u -P", "-u", "user", "-P", "secret"),
        introduced("--username --pw, 5.0", "--username", "user", "--pw", "secret", "-V", "5"),
        introduced("-P without -u, 5.0", "-P", "secret", "-V", "5"),
        introduced("an empty password", "-u", "user", "-P", ""),
        introduced("--id", "--id", "other"),
        introduced("-i with UTF-8", "-i", "üñ"),
        introduced("-c", "-c"),
        introduced("-x", "-x", "100", "-V", "5"),
        introduced("--nodelay", "--nodelay"),
        introduced("--quiet", "--quiet"),
        introduced("-A", "-A", "127.0.0.1"),
        introduced("--will-topic", "--will-topic", "w"),
        introduced("--will-payload", "--will-topic", "w", "--will-payload", "gone"),
        introduced("--will-qos", "--will-topic", "w", "--will-payload", "gone", "--will-qos", "2"),
        introduced("--will-retain", "--will-topic", "w", "--will-payload", "gone", "--will-retain"),
        introduced("a will, 5.0", "--will-topic", "w", "--will-payload", "gone", "--will-qos", "1", "-V", "5"),
        introduced("a will with user and password", "--will-topic", "w", "-u", "u", "-P", "p"),
        introduced("-d", "-d"),
        introduced("--debug, QoS 1, 5.0", "--debug", "-q", "1", "-V", "5"),
        row(.sub, "-d", "-t", "a", "-E", "-d"),
        row(
            .pub, "no -i", "-h", "127.0.0.1", "-p", "{port}", "-t", "a", "-m", "x", varies: [.clientID],
            hasConnection: false),
        row(
            .pub, "no -i, 5.0", "-h", "127.0.0.1", "-p", "{port}", "-t", "a", "-m", "x", "-V", "5", varies: [.clientID],
            hasConnection: false),
        row(
            .pub, "-I", "-h", "127.0.0.1", "-p", "{port}", "-t", "a", "-m", "x", "-I", "prefix-", varies: [.clientID],
            hasConnection: false),
        row(
            .sub, "--id-prefix", "-h", "127.0.0.1", "-p", "{port}", "-t", "a", "-E", "--id-prefix", "prefix-",
            varies: [.clientID], hasConnection: false),
    ]

    private static let addresses: [Row] = [
        row(
            .pub, "--host and --port", "--host", "127.0.0.1", "--port", "{port}", "-i", "i", "-t", "a", "-m", "x",
            hasConnection: false),
        row(.pub, "localhost", "-p", "{port}", "-i", "i", "-t", "a", "-m", "x", hasConnection: false),
        row(.pub, "-L", "-L", "mqtt://127.0.0.1:{port}/a/b", "-i", "i", "-m", "x", hasConnection: false),
        row(
            .pub, "--url with a user", "--url", "mqtt://user:pass@127.0.0.1:{port}/a", "-i", "i", "-m", "x",
            hasConnection: false),
        row(.sub, "-L", "-L", "mqtt://127.0.0.1:{port}/a/#", "-i", "i", "-E", hasConnection: false),
        row(
            .pub, "--unix", "--unix", "{folder}/socket", "-i", "i", "-t", "a", "-m", "x", scene: .unixSocket,
            hasConnection: false),
        row(
            .pub, "--unix without a socket", "--unix", "{folder}/socket", "-t", "a", "-m", "x", scene: .nobody,
            hasConnection: false),
        row(.pub, "nobody listens", "-t", "a", "-m", "x", scene: .nobody),
        row(.sub, "nobody listens", "-t", "a", scene: .nobody),
        row(.rr, "nobody listens", "-t", "a", "-e", "b", "-m", "x", scene: .nobody),
        row(
            .pub, "--proxy where nobody listens", "-t", "a", "-m", "x", "--proxy", "socks5h://127.0.0.1:{port}",
            scene: .nobody),
        row(
            .pub, "a name that does not exist", "-h", "nothing.invalid", "-t", "a", "-m", "x", scene: .nobody,
            hasConnection: false),
        row(
            .sub, "a name that does not exist", "-h", "nothing.invalid", "-t", "a", scene: .nobody, hasConnection: false
        ),
    ]

    private static func refused(_ command: Row.Command, _ code: UInt8, _ arguments: String...) -> Row {
        Row(
            name: "\(command.rawValue): CONNACK \(code) \(arguments.joined(separator: " "))", command: command,
            arguments: ["-t", "a"] + (command == .pub ? ["-m", "x"] : []) + arguments,
            scene: .recorded(.init(behavior: .refuse(code: code, close: true))))
    }

    private static let refusals: [Row] =
        [1, 2, 3, 4, 5].flatMap { [refused(.pub, $0), refused(.sub, $0)] }
        + [0x80, 0x84, 0x85, 0x86, 0x87, 0x88, 0x8C, 0x97].flatMap {
            [refused(.pub, $0, "-V", "5"), refused(.sub, $0, "-V", "5")]
        } + [
            refused(.pub, 5, "--quiet"), refused(.sub, 5, "--quiet"), refused(.pub, 5, "-l"),
            row(.pub, "closed at once", "-t", "a", "-m", "x", scene: .recorded(.init(behavior: .closeOnAccept))),
            row(
                .pub, "closed after CONNECT", "-t", "a", "-m", "x",
                scene: .recorded(.init(behavior: .closeAfterConnect))),
            row(
                .pub, "an answer that is no CONNACK", "-t", "a", "-m", "x",
                scene: .recorded(.init(behavior: .reply([0xD0, 0x00, 0x01], close: true)))),
            row(
                .pub, "DISCONNECT instead of PUBACK, 5.0", "-t", "a", "-m", "x", "-q", "1", "-V", "5",
                scene: .recorded(.init(behavior: .disconnectOn(.publish, reasonCode: 0x97)))),
            row(
                .pub, "an end instead of PUBACK", "-t", "a", "-m", "x", "-q", "1",
                scene: .recorded(.init(behavior: .disconnectOn(.publish, reasonCode: 0x97)))),
            row(
                .pub, "a password that is right", "-t", "a", "-m", "x", "-u", "u", "-P", "p",
                scene: .recorded(.init(user: ("u", "p")))),
            row(
                .pub, "a password that is wrong", "-t", "a", "-m", "x", "-u", "u", "-P", "q",
                scene: .recorded(.init(user: ("u", "p")))),
        ]

    private static func secured(
        _ name: String, _ arguments: String..., host: String = "localhost", clientCertificates: Bool = false
    ) -> Row {
        Row(
            name: "pub: \(name)", command: .pub,
            arguments: ["-h", host, "-p", "{port}", "-i", "side", "-t", "a", "-m", "x", "-q", "1"] + arguments,
            scene: .recorded(.init(tls: true, clientCertificates: clientCertificates)), varies: [.failureStatus],
            hasConnection: false)
    }

    private static let tls: [Row] = [
        secured("--cafile", "--cafile", "{folder}/ca.pem"),
        secured("--cafile of somebody else", "--cafile", "{folder}/other.pem"),
        secured("--capath without authorities", "--capath", "{folder}"),
        secured("--tls-use-os-certs", "--tls-use-os-certs"),
        secured("another name", "--cafile", "{folder}/ca.pem", host: "127.0.0.1"),
        secured("--insecure", "--cafile", "{folder}/ca.pem", "--insecure", host: "127.0.0.1"),
        secured("--tls-version tlsv1.2", "--cafile", "{folder}/ca.pem", "--tls-version", "tlsv1.2"),
        secured("--tls-version tlsv1.3", "--cafile", "{folder}/ca.pem", "--tls-version", "tlsv1.3"),
        secured(
            "--ciphers", "--cafile", "{folder}/ca.pem", "--ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256", "--tls-version",
            "tlsv1.2"),
        secured("--tls-alpn", "--cafile", "{folder}/ca.pem", "--tls-alpn", "mqtt"),
        secured(
            "--cert and --key", "--cafile", "{folder}/ca.pem", "--cert", "{folder}/client.pem", "--key",
            "{folder}/client.key", clientCertificates: true),
        secured(
            "--keyform pem", "--cafile", "{folder}/ca.pem", "--cert", "{folder}/client.pem", "--key",
            "{folder}/client.key", "--keyform", "pem", clientCertificates: true),
        secured("no client certificate", "--cafile", "{folder}/ca.pem", clientCertificates: true),
        secured("a broker with TLS, a client without"),
        row(
            .pub, "a broker without TLS, a client with", "-t", "a", "-m", "x", "--tls-use-os-certs",
            varies: [.failureStatus, .clientID]),
    ]
}

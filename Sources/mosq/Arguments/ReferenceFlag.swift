// SPDX-License-Identifier: Apache-2.0

/// A flag of mosquitto's commands, as `client_config_line_proc` in their `client_shared.c` (2.0.11) parses it.
struct ReferenceFlag: Sendable {
    /// The kind of value that follows the flag.
    enum Value: Sendable, Equatable {
        case none
        case text
        /// mosquitto reads a word that is not a number as 0; here such a word is an error.
        case number
        /// The three or four words of `--property`.
        case property
        /// `--url`, which replaces other flags.
        case url
    }

    /// All spellings of the flag.
    let names: [String]
    /// The commands that accept the flag.
    let commands: Set<ReferenceCommand>
    let value: Value
    /// The error message of mosquitto's commands if the value is missing.
    let complaint: String

    /// - Parameter command: `nil` for the flags that all commands have.
    static func named(_ name: String, of command: ReferenceCommand?) -> ReferenceFlag? {
        guard let flag = byName[name] else { return nil }
        return (command.map { flag.commands.contains($0) } ?? (flag.commands == everyone)) ? flag : nil
    }

    private static let byName: [String: ReferenceFlag] = Dictionary(
        uniqueKeysWithValues: all.flatMap { flag in flag.names.map { ($0, flag) } })

    private static func flag(_ names: String..., of commands: Set<ReferenceCommand> = everyone) -> ReferenceFlag {
        ReferenceFlag(names: names, commands: commands, value: .none, complaint: "")
    }

    /// - Parameter missing: the missing value, such as "no address", for the error message.
    private static func option(
        _ names: String..., of commands: Set<ReferenceCommand> = everyone, as value: Value = .text, missing: String
    ) -> ReferenceFlag {
        ReferenceFlag(
            names: names, commands: commands, value: value,
            complaint: "\(names[0]) argument given but \(missing) specified.")
    }

    private static let everyone = Set(ReferenceCommand.allCases)
    private static let publishers: Set<ReferenceCommand> = [.pub, .rr]
    private static let printers: Set<ReferenceCommand> = [.sub, .rr]

    static let all: [ReferenceFlag] = [
        option("-A", missing: "no address"),
        option("--cafile", missing: "no file"),
        option("--capath", missing: "no directory"),
        option("--cert", missing: "no file"),
        option("--ciphers", missing: "no ciphers"),
        option("-C", of: [.sub], as: .number, missing: "no count"),
        flag("-c", "--disable-clean-session"),
        flag("-d", "--debug"),
        ReferenceFlag(names: ["-D", "--property"], commands: everyone, value: .property, complaint: ""),
        option("-e", of: [.rr], missing: "no response topic"),
        flag("-E", of: [.sub]),
        option("-f", "--file", of: publishers, missing: "no file"),
        option("-F", of: printers, missing: "no format"),
        flag("--help"),
        option("-h", "--host", missing: "no host"),
        flag("--insecure"),
        option("-i", "--id", missing: "no id"),
        option("-I", "--id-prefix", missing: "no id prefix"),
        option("-k", "--keepalive", as: .number, missing: "no keepalive"),
        option("--key", missing: "no file"),
        option("--keyform", missing: "no keyform"),
        option("-L", "--url", as: .url, missing: "no URL"),
        flag("-l", "--stdin-line", of: [.pub]),
        option("-m", "--message", of: publishers, missing: "no message"),
        option("-M", as: .number, missing: "max_inflight not"),
        flag("--nodelay"),
        flag("-n", "--null-message", of: publishers),
        flag("-N", of: printers),
        option("-p", "--port", as: .number, missing: "no port"),
        flag("--pretty", of: printers),
        option("-P", "--pw", missing: "no password"),
        option("--proxy", missing: "no proxy url"),
        option("--psk", missing: "no key"),
        option("--psk-identity", missing: "no identity"),
        option("-q", "--qos", as: .number, missing: "no QoS"),
        flag("--quiet"),
        flag("-r", "--retain", of: [.pub]),
        flag("-R", of: printers),
        option("--random-filter", of: [.sub], as: .number, missing: "no chance"),
        flag("--remove-retained", of: [.sub]),
        option("--repeat", of: [.pub], as: .number, missing: "no count"),
        option("--repeat-delay", of: [.pub], as: .number, missing: "no time"),
        flag("--retain-as-published", of: printers),
        flag("--retained-only", of: [.sub]),
        flag("-s", "--stdin-file", of: publishers),
        flag("-S"),
        option("-t", "--topic", missing: "no topic"),
        option("-T", "--filter-out", of: [.sub], missing: "no topic filter"),
        option("--tls-alpn", missing: "no protocol"),
        option("--tls-engine", missing: "no engine_id"),
        option("--tls-engine-kpass-sha1", missing: "no kpass sha1"),
        flag("--tls-use-os-certs"),
        option("--tls-version", missing: "no version"),
        option("-U", "--unsubscribe", of: [.sub], missing: "no unsubscribe topic"),
        option("-u", "--username", missing: "no username"),
        option("--unix", missing: "no socket path"),
        ReferenceFlag(
            names: ["-V", "--protocol-version"], commands: everyone, value: .text,
            complaint: "--protocol-version argument given but no version specified."),
        flag("-v", "--verbose", of: printers),
        flag("--version"),
        option("-W", of: printers, as: .number, missing: "no timeout"),
        option("--will-payload", missing: "no will payload"),
        option("--will-qos", as: .number, missing: "no will QoS"),
        flag("--will-retain"),
        option("--will-topic", missing: "no will topic"),
        option("-x", missing: "no session expiry interval"),
    ]
}

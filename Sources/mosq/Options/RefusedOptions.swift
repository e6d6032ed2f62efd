import ArgumentParser

/// The flags of mosquitto's commands that this library cannot honour: refused with a reason, never ignored.
struct RefusedOptions: ParsableArguments {
    @Option(name: .customLong("tls-engine-kpass-sha1"), parsing: .unconditional) var enginePassword: String?
    @Option(name: .long, parsing: .unconditional) var proxy: String?
    @Option(name: .customShort("A"), parsing: .unconditional) var bindAddress: String?
    @Option(name: [.customShort("L"), .long], parsing: .unconditional) var url: String?
    @Option(name: [.customShort("D"), .long], parsing: .upToNextOption) var property: [String] = []

    func check() throws {
        try Self.refuse([
            (
                enginePassword != nil,
                "--tls-engine-kpass-sha1 is not supported: a hash is no passphrase; put the PIN into the key's URI."
            ),
            (proxy != nil, "--proxy is not supported; connections are direct."),
            (bindAddress != nil, "-A is not supported; the system chooses the local address."),
            (url != nil, "-L is not supported; give -h, -p, -u, -P and -t."),
            (!property.isEmpty, "-D is not supported."),
        ])
    }

    static func refuse(_ flags: [(isGiven: Bool, reason: String)]) throws {
        if let flag = flags.first(where: \.isGiven) { throw CommandFailure(message: flag.reason) }
    }
}

/// The same for those that only `mosquitto_sub` has.
struct RefusedSubOptions: ParsableArguments {
    @Option(name: .customShort("F"), parsing: .unconditional) var format: String?
    @Flag(name: .long) var pretty = false
    @Option(name: .long, parsing: .unconditional) var randomFilter: String?
    @Flag(name: .long) var removeRetained = false
    @Option(name: [.customShort("U"), .long], parsing: .unconditionalSingleValue) var unsubscribe: [String] = []

    func check() throws {
        try RefusedOptions.refuse([
            (format != nil, "-F is not supported; use -v, or no format."),
            (pretty, "--pretty is not supported, nor is the JSON that it formats."),
            (randomFilter != nil, "--random-filter is not supported."),
            (removeRetained, "--remove-retained is not supported; publish with -n -r to each topic."),
            (!unsubscribe.isEmpty, "-U is not supported; end the session with a client that does not use -c."),
        ])
    }
}

/// The commands of mosquitto that `mosq` stands for.
enum ReferenceCommand: String, CaseIterable, Sendable {
    case pub, sub, rr

    /// The name of mosquitto's own command, of its options file, and of a link to `mosq` that behaves as it.
    var name: String { "mosquitto_" + rawValue }

    /// The one of that name.
    init?(name: some StringProtocol) {
        guard let command = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = command
    }
}

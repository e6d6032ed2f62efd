/// Enhanced authentication (MQTT 5.0, section 4.12): a method that both sides know, and data in as many steps as it takes.
///
/// All methods are called off the client's event loop, one at a time, and each is bounded by ``MQTTTimeouts/credentials``.
public protocol MQTTAuthenticator: Sendable {
    /// The Authentication Method, such as "SCRAM-SHA-1", "K8S-SAT" or what the broker's manual says.
    var method: String { get }

    /// The Authentication Data of CONNECT, and of the AUTH packet that begins a re-authentication; `nil` for none. At most
    /// 65,535 bytes.
    func begin(with credentials: MQTTCredentials) async throws -> [UInt8]?

    /// The answer to a challenge of the broker (AUTH with reason code 0x18).
    func respond(to challenge: [UInt8], with credentials: MQTTCredentials) async throws -> [UInt8]?

    /// The credentials that go into the CONNECT packet besides. None by default: the data is the proof.
    func connectCredentials(_ credentials: MQTTCredentials) -> MQTTCredentials
}

extension MQTTAuthenticator {
    public func respond(to challenge: [UInt8], with credentials: MQTTCredentials) async throws -> [UInt8]? {
        throw MQTTCredentialError.permanent("the method \(method) has one step only, but the broker sent a challenge")
    }

    public func connectCredentials(_ credentials: MQTTCredentials) -> MQTTCredentials {
        MQTTCredentials(username: credentials.username)
    }
}

/// The provider's password, such as a JWT, is the Authentication Data: one step, no challenge.
public struct MQTTTokenAuthenticator: MQTTAuthenticator {
    public let method: String

    public init(method: String) { self.method = method }

    public func begin(with credentials: MQTTCredentials) async throws -> [UInt8]? {
        credentials.password.map { Array($0.text.utf8) }
    }
}

extension MQTTAuthenticator where Self == MQTTTokenAuthenticator {
    /// The provider's password, such as a JWT, is the Authentication Data.
    public static func token(method: String) -> MQTTTokenAuthenticator { MQTTTokenAuthenticator(method: method) }
}

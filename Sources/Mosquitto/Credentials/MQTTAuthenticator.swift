// SPDX-License-Identifier: Apache-2.0

/// An implementation of enhanced authentication (MQTT 5.0, section 4.12): a method known to both sides, and data
/// exchanged in any number of steps.
///
/// The client calls all methods off its event loop, one at a time, and bounds each call by
/// ``MQTTTimeouts/credentials``.
public protocol MQTTAuthenticator: Sendable {
    /// The Authentication Method, such as "SCRAM-SHA-1", "K8S-SAT" or a name from the broker's manual.
    var method: String { get }

    /// Returns the Authentication Data of the CONNECT, or of the AUTH packet that begins a re-authentication; `nil` for
    /// none. At most 65,535 bytes.
    func begin(with credentials: MQTTCredentials) async throws -> [UInt8]?

    /// Returns the response to a challenge of the broker (AUTH with reason code 0x18).
    func respond(to challenge: [UInt8], with credentials: MQTTCredentials) async throws -> [UInt8]?

    /// Returns the credentials to send in the CONNECT beside the Authentication Data. By default only the user name,
    /// since the data is the proof.
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

/// An authenticator that sends the provider's password, such as a JWT, as the Authentication Data: one step, no
/// challenge.
public struct MQTTTokenAuthenticator: MQTTAuthenticator {
    public let method: String

    public init(method: String) { self.method = method }

    public func begin(with credentials: MQTTCredentials) async throws -> [UInt8]? {
        credentials.password.map { Array($0.text.utf8) }
    }
}

extension MQTTAuthenticator where Self == MQTTTokenAuthenticator {
    /// Sends the provider's password, such as a JWT, as the Authentication Data.
    public static func token(method: String) -> MQTTTokenAuthenticator { MQTTTokenAuthenticator(method: method) }
}

// SPDX-License-Identifier: Apache-2.0

extension ScriptedBroker {
    /// The rule by which a ``ScriptedBroker`` accepts a CONNECT.
    ///
    /// A refused client receives CONNACK 5 (3.1.1, not authorized) or 0x87 (5.0, not authorized), and its connection is
    /// closed.
    public enum Authentication: Sendable {
        /// Accepts every client.
        case none

        /// Accepts a CONNECT whose password is an unexpired token of this issuer.
        ///
        /// - Parameters:
        ///   - issuer: The issuer that signed the tokens.
        ///   - kickOnExpiry: True to end an established connection when its token expires: with DISCONNECT 0x87 for
        ///     5.0, without a packet for 3.1.1.
        case token(TestTokenIssuer, kickOnExpiry: Bool)

        /// Accepts one user name with its password.
        case password(_ username: String, _ password: String)
    }
}

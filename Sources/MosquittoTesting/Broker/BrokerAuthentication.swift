extension ScriptedBroker {
    /// The rule by which a ``ScriptedBroker`` accepts a CONNECT.
    ///
    /// A refused client receives CONNACK 5 (3.1.1, not authorized) or 0x87 (5.0, not authorized), and its connection is
    /// closed.
    public enum Authentication: Sendable {
        /// Everybody is accepted.
        case none

        /// The password of CONNECT is a token of this issuer, not expired.
        ///
        /// - Parameters:
        ///   - issuer: The issuer that signed the tokens.
        ///   - kickOnExpiry: Whether a live connection ends when its token expires: DISCONNECT 0x87 and close for
        ///     5.0, close without a packet for 3.1.1.
        case token(TestTokenIssuer, kickOnExpiry: Bool)

        /// One user name and password.
        case password(_ username: String, _ password: String)
    }
}

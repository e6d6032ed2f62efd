extension TLSConfiguration {
    /// Certificate authorities to trust.
    ///
    /// One source, or several as an array, of which each adds its own: `[.system, .file("/etc/mqtt/ca.pem")]`.
    public struct Trust: Sendable, ExpressibleByArrayLiteral, CustomStringConvertible {
        enum Source: Sendable, Hashable {
            case system
            case file(String)
            case directory(String)
            case bytes([UInt8])
        }

        enum Part: Sendable {
            case source(Source)
            case provider(@Sendable () async throws -> Trust)
        }

        let parts: [Part]

        private init(_ source: Source) { parts = [.source(source)] }

        /// What any of them trusts.
        public init(arrayLiteral elements: Trust...) { parts = elements.flatMap(\.parts) }

        /// Those of the system (`SSL_CTX_set_default_verify_paths`).
        public static let system = Trust(.system)

        /// Those in this file, in PEM (any number) or DER (one).
        public static func file(_ path: String) -> Trust { Trust(.file(path)) }

        /// Those in this directory, by the hashed names that `openssl rehash` gives them.
        public static func directory(_ path: String) -> Trust { Trust(.directory(path)) }

        /// Those in this PEM text.
        public static func pem(_ text: String) -> Trust { Trust(.bytes(Array(text.utf8))) }

        /// This one, in DER.
        public static func der(_ bytes: [UInt8]) -> Trust { Trust(.bytes(bytes)) }

        /// What `provide` answers, before each attempt. It must not answer with another provider. If it throws, the attempt fails
        /// like one whose credential provider throws, see ``MQTTCredentialError``.
        public static func provider(_ provide: @escaping @Sendable () async throws -> Trust) -> Trust {
            Trust(provide)
        }

        private init(_ provide: @escaping @Sendable () async throws -> Trust) { parts = [.provider(provide)] }

        public var description: String {
            let names = parts.map { part in
                switch part {
                case .source(.system): "the system's authorities"
                case .source(.file(let path)): "file \(quoted(path))"
                case .source(.directory(let path)): "directory \(quoted(path))"
                case .source(.bytes): "certificates in memory"
                case .provider: "a provider"
                }
            }
            return names.isEmpty ? "nobody" : names.joined(separator: " and ")
        }
    }
}

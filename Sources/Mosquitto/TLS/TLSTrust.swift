// SPDX-License-Identifier: Apache-2.0

extension MQTTTLSConfiguration {
    /// Certificate authorities to trust.
    ///
    /// A trust has one source, or several in an array that are combined: `[.system, .file("/etc/mqtt/ca.pem")]`.
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

        /// Combines several sources.
        public init(arrayLiteral elements: Trust...) { parts = elements.flatMap(\.parts) }

        /// The system's authorities (`SSL_CTX_set_default_verify_paths`).
        public static let system = Trust(.system)

        /// Returns the authorities in a file, in PEM (any number) or DER (one).
        public static func file(_ path: String) -> Trust { Trust(.file(path)) }

        /// Returns the authorities in a directory with the hashed names of `openssl rehash`.
        public static func directory(_ path: String) -> Trust { Trust(.directory(path)) }

        /// Returns the authorities in a PEM text.
        public static func pem(_ text: String) -> Trust { Trust(.bytes(Array(text.utf8))) }

        /// Returns an authority in DER.
        public static func der(_ bytes: [UInt8]) -> Trust { Trust(.bytes(bytes)) }

        /// Returns a trust that `provide` supplies before each attempt. `provide` must not return another provider. If
        /// it throws, the attempt fails as with a credential provider that throws, see ``MQTTCredentialError``.
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

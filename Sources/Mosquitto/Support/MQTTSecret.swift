// SPDX-License-Identifier: Apache-2.0

/// A password, token or key. Descriptions, mirrors and dumps do not show it, and its memory is overwritten when the
/// last copy is released.
///
/// The memory of the value it was created from, and of the `String` returned by ``text``, is separate and is not
/// overwritten.
public struct MQTTSecret: Sendable, Hashable, ExpressibleByStringLiteral, CustomStringConvertible,
    CustomDebugStringConvertible, CustomReflectable
{
    private let storage: SecretBytes

    public init(_ text: some StringProtocol) {
        var text = String(text)
        storage = text.withUTF8 { SecretBytes(UnsafeRawBufferPointer($0)) }
    }

    public init(stringLiteral value: String) { self.init(value) }

    /// Creates a secret that is not text, such as a key in DER.
    public init(bytes: some Collection<UInt8>) {
        storage =
            bytes.withContiguousStorageIfAvailable { SecretBytes(UnsafeRawBufferPointer($0)) }
            ?? Self.storage(copying: Array(bytes))
    }

    private static func storage(copying bytes: consuming [UInt8]) -> SecretBytes {
        defer { SecretBytes.cleanse(&bytes) }
        return bytes.withUnsafeBytes { SecretBytes($0) }
    }

    /// The secret as text; handle it with care. Invalid UTF-8 is replaced.
    public var text: String { withBytes { String(decoding: $0, as: UTF8.self) } }

    /// The number of bytes.
    public var count: Int { storage.bytes.count }

    /// Calls `body` with the bytes of the secret, which are valid until `body` returns. A NUL follows the last byte.
    public func withBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        defer { withExtendedLifetime(storage) {} }
        return try body(storage.bytes)
    }

    public static func == (one: MQTTSecret, other: MQTTSecret) -> Bool {
        one.storage === other.storage || one.withBytes { bytes in other.withBytes { bytes.elementsEqual($0) } }
    }

    public func hash(into hasher: inout Hasher) { withBytes { hasher.combine(bytes: $0) } }

    public var description: String { "redacted" }
    public var debugDescription: String { "redacted" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

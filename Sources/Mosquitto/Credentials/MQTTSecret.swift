/// A password, token or key: it does not show in descriptions, mirrors and dumps, and its memory is overwritten when the last
/// copy is gone.
///
/// What it was made from, and the `String` of ``text``, are memory of their own that nobody overwrites.
public struct MQTTSecret: Sendable, Hashable, ExpressibleByStringLiteral, CustomStringConvertible,
    CustomDebugStringConvertible, CustomReflectable
{
    private let storage: SecretBytes

    public init(_ text: some StringProtocol) {
        var text = String(text)
        storage = text.withUTF8 { SecretBytes(UnsafeRawBufferPointer($0)) }
    }

    public init(stringLiteral value: String) { self.init(value) }

    /// A secret that is not text, such as a key in DER.
    public init(bytes: some Collection<UInt8>) {
        storage =
            bytes.withContiguousStorageIfAvailable { SecretBytes(UnsafeRawBufferPointer($0)) }
            ?? Self.storage(copying: Array(bytes))
    }

    private static func storage(copying bytes: consuming [UInt8]) -> SecretBytes {
        defer { SecretBytes.cleanse(&bytes) }
        return bytes.withUnsafeBytes { SecretBytes($0) }
    }

    /// The secret itself, as text: take care where it goes. What is not UTF-8 is replaced.
    public var text: String { withBytes { String(decoding: $0, as: UTF8.self) } }

    /// The number of its bytes.
    public var count: Int { storage.bytes.count }

    /// Calls `body` with the secret itself, which is valid for that long. There is a NUL after the last byte.
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

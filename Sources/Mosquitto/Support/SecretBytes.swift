// SPDX-License-Identifier: Apache-2.0

import CMosquitto

/// Bytes that are overwritten when the last reference is released, followed by a NUL for C.
///
/// `@unchecked Sendable`: the bytes are immutable between `init` and `deinit`.
final class SecretBytes: @unchecked Sendable {
    private let buffer: UnsafeMutableRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) {
        buffer = .allocate(byteCount: bytes.count + 1, alignment: 1)
        buffer.copyMemory(from: bytes)
        buffer[bytes.count] = 0
    }

    deinit {
        OPENSSL_cleanse(buffer.baseAddress, buffer.count)
        buffer.deallocate()
    }

    /// The bytes without the NUL.
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: buffer.dropLast()) }

    static func cleanse(_ bytes: inout [UInt8]) {
        bytes.withUnsafeMutableBytes { OPENSSL_cleanse($0.baseAddress, $0.count) }
    }
}

// SPDX-License-Identifier: Apache-2.0

import CMosquittoShim

/// Bytes from the system's random source.
enum RandomBytes {
    /// The largest number of bytes of one request (`getentropy`).
    static let limit = 256

    /// Returns random bytes, at most ``limit``.
    static func make(_ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            // Only a sandbox without the system call fails; Swift's own source would end the process then.
            if !cmq_random(buffer.baseAddress, count) {
                var generator = SystemRandomNumberGenerator()
                for index in 0..<count { buffer[index] = generator.next() }
            }
            initialized = count
        }
    }
}

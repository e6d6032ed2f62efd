// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
import Glibc

/// The error queues of the OpenSSL that the library uses. Each thread has its own.
enum OpenSSLErrors {
    /// The oldest error in this thread's queue. Needs no C module: libcrypto is already loaded.
    static func oldest() -> String? {
        guard let peek = dlsym(nil, "ERR_peek_error"), let describe = dlsym(nil, "ERR_error_string_n") else {
            return "this process has no OpenSSL"
        }
        let error = unsafeBitCast(peek, to: (@convention(c) () -> UInt).self)()
        if error == 0 { return nil }
        var text = [CChar](repeating: 0, count: 256)
        typealias Describe = @convention(c) (UInt, UnsafeMutablePointer<CChar>, Int) -> Void
        unsafeBitCast(describe, to: Describe.self)(error, &text, text.count)
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
#endif

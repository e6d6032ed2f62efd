// SPDX-License-Identifier: Apache-2.0

import CMosquitto

enum OpenSSLLibrary {
    /// The name and version of the library in use, such as "OpenSSL 3.0.19".
    static var version: String {
        let text = String(cString: OpenSSL_version(OPENSSL_VERSION))
        return text.split(separator: " ").prefix(2).joined(separator: " ")
    }

    /// Prepares OpenSSL once in a process, before anything else uses it.
    static let initialize: Void = {
        // By default OpenSSL frees its tables in a handler of exit(3). The loop's thread continues until the process
        // has ended, and would use the freed tables: a process that exits while it connects would crash. The option has
        // no effect if other code has used OpenSSL before.
        _ = OPENSSL_init_crypto(UInt64(OPENSSL_INIT_NO_ATEXIT), nil)
    }()
}

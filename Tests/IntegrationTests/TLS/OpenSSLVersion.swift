// SPDX-License-Identifier: Apache-2.0

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// The version of the OpenSSL that this process has loaded, on which some alerts and messages depend.
enum OpenSSLVersion {
    /// The major version in the highest four bits, and eight bits of the minor version (`OpenSSL_version_num`); 0 if unknown.
    private static let number: UInt = {
        guard let symbol = dlsym(dlopen(nil, RTLD_NOW), "OpenSSL_version_num") else { return 0 }
        return unsafeBitCast(symbol, to: (@convention(c) () -> UInt).self)()
    }()

    static func isAtLeast(_ major: UInt, _ minor: UInt) -> Bool { number >> 20 >= major << 8 | minor }
}

// SPDX-License-Identifier: Apache-2.0

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

extension MQTTError {
    /// True if the peer closed an established connection (FIN or RST) without a reason code. False for a timeout, or
    /// another failure of this machine or the network.
    var isWordlessEnd: Bool {
        code == .closed && reasonCode == nil && [nil, ECONNRESET, EPIPE].contains(systemCode)
    }
}

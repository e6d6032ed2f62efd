#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

extension MQTTError {
    /// True for an end of an established connection by its peer (FIN or RST) without a reason code. A time-out, or
    /// another failure of this machine or the network, is none.
    var isWordlessEnd: Bool {
        code == .closed && reasonCode == nil && [nil, ECONNRESET, EPIPE].contains(systemCode)
    }
}

import CMosquitto

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What tells that a file was replaced or changed, without reading it; taken by a ``FileReader``, since it may block. Links are followed, so that the swapped link of a
/// Kubernetes secret is a change.
struct FileStamp: Hashable {
    private var inode: UInt64 = 0
    private var size: Int64 = 0
    private var seconds: Int64 = 0
    private var nanoseconds: Int64 = 0

    /// All zero if there is no such file. Blocks while the file system does not answer.
    init(path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return }
        inode = UInt64(status.st_ino)
        size = Int64(status.st_size)
        #if canImport(Darwin)
        let time = status.st_mtimespec
        #else
        let time = status.st_mtim
        #endif
        seconds = Int64(time.tv_sec)
        nanoseconds = Int64(time.tv_nsec)
    }

    /// The bundle of `SSL_CTX_set_default_verify_paths`. (A folder of hashed names is looked into by OpenSSL at each handshake.)
    static let systemTrust: String =
        getenv(X509_get_default_cert_file_env()).map { String(cString: $0) }
        ?? String(cString: X509_get_default_cert_file())
}

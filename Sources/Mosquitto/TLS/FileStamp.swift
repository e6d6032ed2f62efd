import CMosquitto

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What tells that a file was replaced or changed, without reading it. Links are followed, so that the swapped link of a
/// Kubernetes secret is a change.
struct FileStamp: Hashable {
    private var inode: UInt64 = 0
    private var size: Int64 = 0
    private var seconds: Int64 = 0
    private var nanoseconds: Int64 = 0

    /// All zero if there is no such file.
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

    /// The stamps of a directory and of what is in it: a file that is overwritten in place leaves the directory as it was.
    static func all(inDirectory path: String) -> [FileStamp] {
        var names: [String] = []
        if let directory = opendir(path) {
            defer { closedir(directory) }
            while let entry = readdir(directory) {
                let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                    String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
                }
                if name != ".", name != ".." { names.append(name) }
            }
        }
        return [FileStamp(path: path)] + names.sorted().map { FileStamp(path: path + "/" + $0) }
    }

    /// The bundle of `SSL_CTX_set_default_verify_paths`. (A folder of hashed names is looked into by OpenSSL at each handshake.)
    static let systemTrust: String =
        getenv(X509_get_default_cert_file_env()).map { String(cString: $0) }
        ?? String(cString: X509_get_default_cert_file())
}

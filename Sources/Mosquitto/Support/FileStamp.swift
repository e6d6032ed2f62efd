// SPDX-License-Identifier: Apache-2.0

import CMosquitto
import CMosquittoShim

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A stamp that changes when a file is replaced or modified, obtained without reading the file. A ``FileReader`` takes
/// the stamp, since that may block. Links are followed, so that the swapped link of a Kubernetes secret is a change.
/// The stamp of a directory includes those of its files, since a file overwritten in place leaves the directory
/// unchanged.
struct FileStamp: Hashable, Sendable {
    private var inode: UInt64 = 0
    private var size: Int64 = 0
    private var seconds: Int64 = 0
    private var nanoseconds: Int64 = 0
    private var entries: [FileStamp] = []

    /// Takes the stamp of a file; all zero if it does not exist. Blocks until the file system responds.
    init(path: String) { self.init(path: path, isEntry: false) }

    private init(path: String, isEntry: Bool) {
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
        guard !isEntry, status.st_mode & S_IFMT == S_IFDIR else { return }
        entries = Self.names(inDirectory: path).map { FileStamp(path: path + "/" + $0, isEntry: true) }
    }

    private static func names(inDirectory path: String) -> [String] {
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
        return names.sorted()
    }

    /// The bundle of `SSL_CTX_set_default_verify_paths`. (OpenSSL searches a folder of hashed names at each handshake.)
    static let systemTrust: String =
        getenv(X509_get_default_cert_file_env()).map { String(cString: $0) }
        ?? String(cString: X509_get_default_cert_file())
}

// SPDX-License-Identifier: Apache-2.0

import Logging
import Synchronization

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Access of every user of the machine to a file with a secret.
///
/// The group's access is none: Kubernetes (`fsGroup`) and Debian (`ssl-cert`) give keys to a group on purpose.
struct FileExposure: Hashable, Sendable {
    let mode: UInt32

    /// Returns `nil` unless every user can read or change the file: its own permissions are the first condition, those
    /// of all folders above it the second. Blocks until the file system responds.
    init?(path: String, status: stat) {
        mode = UInt32(status.st_mode) & 0o7777
        guard mode & 0o006 != 0, Self.canEveryoneReach(path) else { return nil }
    }

    init(mode: UInt32) { self.mode = mode }

    /// The access, as a predicate of the file.
    var text: String {
        switch mode & 0o006 {
        case 0o004: "can be read by every user of this machine"
        case 0o002: "can be changed by every user of this machine"
        default: "can be read and changed by every user of this machine"
        }
    }

    /// Returns true if every user may search all folders of the path, links resolved. Access control lists are not
    /// considered.
    private static func canEveryoneReach(_ path: String) -> Bool {
        guard let resolved = realpath(path, nil) else { return false }
        defer { free(resolved) }
        var folder = String(cString: resolved)[...]
        while let slash = folder.lastIndex(of: "/") {
            folder = folder[..<slash]
            var status = stat()
            guard stat(folder.isEmpty ? "/" : String(folder), &status) == 0 else { return false }
            if status.st_mode & 0o001 == 0 { return false }
        }
        return true
    }
}

/// Warnings of exposed files: once for each path in the life of the process.
enum SecretFileWarnings {
    /// The log of the client on whose behalf the task reads files. Credential providers have no log of their own.
    @TaskLocal static var logger: Logger?

    /// Paths that were warned of. Bounded, since a program may use a new path for each token.
    private static let warned = Mutex<Set<String>>([])
    private static let maximumPaths = 1_000

    static func warn(_ exposure: FileExposure, _ path: String) {
        guard let logger else { return }
        let isNew = warned.withLock { $0.count < maximumPaths && $0.insert(path).inserted }
        guard isNew else { return }
        logger.warning(
            "a file with a secret \(exposure.text); remove that permission (chmod o-rwx)",
            metadata: ["file.path": "\(path)", "file.mode": "0\(String(exposure.mode, radix: 8))"])
    }
}

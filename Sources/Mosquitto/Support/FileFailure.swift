// SPDX-License-Identifier: Apache-2.0

/// The failure to read a file.
package struct FileFailure: Error, Sendable, Hashable {
    enum Kind: Sendable, Hashable {
        /// A system call failed with this `errno`.
        case system(Int32)
        case isDirectory
        /// The file is a FIFO, a socket or a device, which may never end, or never begin.
        case notRegular
        /// The file has more bytes than this.
        case tooLarge(Int)
        /// The file system did not respond within this time.
        case overdue(Duration)
        case noThread
    }

    let kind: Kind

    init(_ kind: Kind) { self.kind = kind }

    /// The `errno`, if a call failed.
    var systemCode: Int32? { if case .system(let code) = kind { code } else { nil } }

    var isTooLarge: Bool { if case .tooLarge = kind { true } else { false } }

    /// True if the state of the file is unknown, since its file system does not respond.
    package var isOverdue: Bool {
        switch kind {
        case .overdue, .noThread: true
        case .system, .isDirectory, .notRegular, .tooLarge: false
        }
    }

    /// The predicate of a sentence that begins with the name of the file.
    package var reason: String {
        switch kind {
        case .system(let code): "cannot be opened: \(errorText(code))"
        case .isDirectory: "cannot be read; is it a directory?"
        case .notRegular: "is not a regular file"
        case .tooLarge(let limit):
            limit.isMultiple(of: 1 << 20) ? "has more than \(limit >> 20) MiB" : "has more than \(limit) bytes"
        case .overdue(let time): "could not be read within \(time): its file system does not answer"
        case .noThread: "could not be read: no thread could be started for it"
        }
    }
}

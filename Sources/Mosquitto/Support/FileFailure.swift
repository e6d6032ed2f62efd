/// Why a file was not read.
package struct FileFailure: Error, Sendable, Hashable {
    enum Kind: Sendable, Hashable {
        /// The `errno` of a call.
        case system(Int32)
        case isDirectory
        /// A FIFO, a socket or a device: it may never end, or never begin.
        case notRegular
        /// More bytes than this.
        case tooLarge(Int)
        /// No answer within this time.
        case overdue(Duration)
        case noThread
    }

    let kind: Kind

    init(_ kind: Kind) { self.kind = kind }

    /// The `errno`, if a call failed.
    var systemCode: Int32? { if case .system(let code) = kind { code } else { nil } }

    var isTooLarge: Bool { if case .tooLarge = kind { true } else { false } }

    /// True if the file itself was not heard of: its file system does not answer.
    package var isOverdue: Bool {
        switch kind {
        case .overdue, .noThread: true
        case .system, .isDirectory, .notRegular, .tooLarge: false
        }
    }

    /// The words that follow the name of the file in a sentence.
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

// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Where the message of `mosq pub` and `mosq rr` comes from.
struct PayloadOptions: ParsableArguments {
    // Arrays, since each is an error if given twice.
    @Option(name: [.customShort("m"), .long], parsing: .unconditionalSingleValue, help: "The message.")
    var message: [String] = []

    @Option(
        name: .customLong("message-hex"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp("A -m that is not UTF-8.", visibility: .hidden))
    var messageBytes: [String] = []

    @Option(
        name: [.customShort("f"), .long], parsing: .unconditionalSingleValue, help: "Send the content of this file.")
    var file: [String] = []

    @Flag(name: [.customShort("n"), .customLong("null-message")], help: "Send an empty message.")
    var empty = false

    @Flag(
        name: [.customShort("s"), .customLong("stdin-file")], help: "Send all of standard input as one message.")
    var wholeInput = false

    enum Payload {
        case once([UInt8])
        /// The lines of standard input, each sent as a message once it has been read.
        case lines
    }

    /// Returns the payload; `nil` if no flag names one.
    ///
    /// - Parameters:
    ///   - lines: whether each line of standard input is a message.
    ///   - isQuiet: whether a file that cannot be read ends the command without an error message.
    func payload(lines: Bool = false, isQuiet: Bool = false) throws -> Payload? {
        let given = message.count + messageBytes.count + file.count + [empty, lines, wholeInput].count { $0 }
        if given > 1 { throw CommandFailure.usage("Only one type of message can be sent at once.") }
        if let message = message.first { return .once(Array(message.utf8)) }
        if let digits = messageBytes.first { return .once(try ArgumentEncoding.bytes(digits)) }
        if let file = file.first {
            guard let data = try? Data(contentsOf: URL(filePath: file)) else {
                throw CommandFailure(
                    lines: isQuiet
                        ? []
                        : ["Error: Unable to open file \"\(file)\".", "Error loading input file \"\(file)\"."],
                    status: 1)
            }
            return .once(Array(data))
        }
        if empty { return .once([]) }
        if wholeInput {
            let bytes = StandardInput.all()
            if bytes.isEmpty {
                throw CommandFailure(
                    lines: isQuiet ? [] : ["Error: Zero length input.", "Error loading input from stdin."], status: 1)
            }
            return .once(bytes)
        }
        return lines ? .lines : nil
    }
}

extension PayloadOptions: ReadableArguments {
    mutating func read(_ words: inout ArgumentReader) {
        message = words.texts("-m", "--message")
        messageBytes = words.texts("--message-hex")
        file = words.texts("-f", "--file")
        empty = words.flag("-n", "--null-message")
        wholeInput = words.flag("-s", "--stdin-file")
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A program whose last argument is a number of messages, and its cost of one message.
///
/// The program runs with a number and with twice that number: the difference excludes the connection and the first
/// messages.
struct Program {
    let name: String
    let arguments: [String]

    /// Allocations a message, counted by the preloaded `AllocationCounter`.
    func allocations(messages: Int) throws -> Cost {
        try difference(messages) { messages in
            try withTemporaryFile { counts in
                try Command(path(name), arguments + ["\(messages)"])
                    .run(["LD_PRELOAD": path("libAllocationCounter.so"), "ALLOCATION_COUNTS": counts])
                // "COUNT BYTES OBJECT"
                return try lines(of: counts).reduce(into: Cost()) { cost, line in
                    let fields = line.split(separator: " ", maxSplits: 2)
                    if fields.count == 3 { cost.add(Double(fields[0]) ?? 0, by: fields[2]) }
                }
            }
        }
    }

    /// Instructions a message, counted by callgrind. System calls are not among them.
    func instructions(messages: Int) throws -> Cost {
        try withTemporaryFile { stripped in
            // valgrind 3.19 does not support Swift's debug information.
            try Command("/usr/bin/env", ["strip", "--strip-debug", "-o", stripped, path(name)]).run()
            return try difference(messages) { messages in
                try withTemporaryFile { profile in
                    try Command(
                        "/usr/bin/env",
                        ["valgrind", "--tool=callgrind", "--callgrind-out-file=\(profile)", stripped] + arguments
                            + ["\(messages)"]
                    ).run()
                    return try CallgrindProfile.cost(lines(of: profile))
                }
            }
        }
    }

    private func difference(_ messages: Int, _ run: (Int) throws -> Cost) rethrows -> Cost {
        let (once, twice) = (try run(messages), try run(2 * messages))
        return twice.difference(from: once, dividedBy: Double(messages))
    }

    /// Where this program was built, and the others of this package with it.
    static var folder: URL { Bundle.main.bundleURL }

    private func path(_ name: String) -> String { Self.folder.appending(path: name).path }

    private func lines(of path: String) throws -> [Substring] {
        try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Writes a line for each measurement, with more detail than the thresholds, to the file that `HOT_PATHS_TABLE` names.
enum Table {
    static func add(_ name: String, _ allocations: Cost, _ instructions: Cost) throws {
        guard let path = ProcessInfo.processInfo.environment["HOT_PATHS_TABLE"] else { return }
        let cells =
            Cost.Owner.allCases.map { String(format: "%.2f", allocations[$0]) }
            + (Cost.Owner.allCases.map { instructions[$0] } + [instructions.all]).map { String(format: "%.0f", $0) }
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        try file.seekToEnd()
        try file.write(contentsOf: Data(([name] + cells).joined(separator: "\t").utf8) + Data("\n".utf8))
        try file.close()
    }
}

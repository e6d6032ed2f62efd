// SPDX-License-Identifier: Apache-2.0

/// A parser of callgrind's output, which lists costs by line under the object file (`ob=`) they belong to.
/// https://valgrind.org/docs/manual/cl-format.html
enum CallgrindProfile {
    static func cost(_ lines: [Substring]) -> Cost {
        var cost = Cost()
        var names: [Substring: Substring] = [:]
        var object: Substring = "???"
        var isCall = false
        for line in lines {
            if line.hasPrefix("ob=") || line.hasPrefix("cob=") {
                // "(1) /usr/lib/libssl.so.3" the first time, "(1)" from then on.
                let fields = line.drop { $0 != "(" }.split(separator: " ", maxSplits: 1)
                if fields.count == 2 { names[fields[0]] = fields[1] }
                if line.hasPrefix("ob="), let name = names[fields[0]] { object = name }
            } else if line.hasPrefix("calls=") {
                isCall = true
            } else if let first = line.utf8.first, "0123456789+-*".utf8.contains(first) {
                // The line after a call contains the callee's cost, which is already counted in the callee.
                if !isCall, let count = line.split(separator: " ").dropFirst().first.flatMap({ Double($0) }) {
                    cost.add(count, by: object)
                }
                isCall = false
            }
        }
        return cost
    }
}

// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Mosquitto

/// The messages that `mosq sub` leaves out.
struct MessageFilter: ParsableArguments {
    @Option(
        name: [.customShort("T"), .customLong("filter-out")], parsing: .unconditionalSingleValue,
        help: "Messages of this topic filter are not printed. May be repeated.")
    var filteredOut: [String] = []

    @Flag(name: .customLong("retained-only"), help: "Print retained messages only, and end at the first other one.")
    var retainedOnly = false

    var topicFilters: [MQTTTopicFilter] { filteredOut.map { MQTTTopicFilter($0) } }

    /// - Parameter noRetained: true with `-R`, the opposite flag.
    func check(noRetained: Bool) throws {
        if noRetained, retainedOnly {
            throw CommandFailure(message: "Combining '-R' and '--retained-only' makes no sense.")
        }
        for filter in topicFilters {
            do { try filter.validate() } catch {
                throw CommandFailure.usage("Invalid filter topic '\(filter)', are all '+' and '#' wildcards correct?")
            }
        }
    }
}

extension MessageFilter: ReadableArguments {
    mutating func read(_ words: inout ArgumentReader) {
        filteredOut = words.texts("-T", "--filter-out")
        retainedOnly = words.flag("--retained-only")
    }
}

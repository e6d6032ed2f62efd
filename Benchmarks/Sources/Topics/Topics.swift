// SPDX-License-Identifier: Apache-2.0

import Mosquitto

/// Repeats one operation on topics: `topics validate|match NUMBER`. HotPaths counts its cost.
@main
struct Topics {
    static func main() throws {
        guard CommandLine.arguments.count == 3, let number = Int(CommandLine.arguments[2]) else { throw Usage() }
        let topic: MQTTTopic = "factory/hall-3/line-12/press/temperature"
        let filters: [MQTTTopicFilter] = ["factory/+/line-12/#", "factory/hall-3/+/lathe/temperature"]
        var matches = 0
        switch CommandLine.arguments[1] {
        case "validate": for _ in 0..<number { try topic.validate() }
        case "match": for index in 0..<number where filters[index % 2].matches(topic.name) { matches += 1 }
        default: throw Usage()
        }
        // Keeps the compiler from removing the work.
        if matches > number { throw Usage() }
    }
}

struct Usage: Error, CustomStringConvertible {
    let description = "usage: topics validate|match NUMBER"
}

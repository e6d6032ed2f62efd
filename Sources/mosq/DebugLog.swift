// SPDX-License-Identifier: Apache-2.0

import Logging
import Mosquitto

/// `-d`: libmosquitto's line for each packet, as mosquitto's commands print them to standard output.
struct DebugLog: LogHandler {
    /// True if the client's other log lines are printed too; mosquitto's commands have none.
    let printsAll: Bool
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var line = "\(event.message)"
        // libmosquitto's own lines have this level, and already contain the client identifier.
        if event.level > .trace {
            if !printsAll { return }
            let metadata = metadata.merging(event.metadata ?? [:]) { $1 }
            for (key, value) in metadata.sorted(by: { $0.key < $1.key }) { line += " \(key)=\(value)" }
        }
        var output = StandardOutput()
        // Topics and reasons in it are text of others.
        output.write((ForeignText.escaping(line) + "\n").utf8)
        output.flush()
    }
}

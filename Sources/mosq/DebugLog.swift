import Logging

/// `-d`: libmosquitto's line for each packet, as mosquitto's commands print them to standard output.
struct DebugLog: LogHandler {
    /// Whether it also prints what the client does besides, which mosquitto's commands do not know.
    let printsAll: Bool
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var line = "\(event.message)"
        // libmosquitto's own lines are of this level, and have the client identifier already.
        if event.level > .trace {
            if !printsAll { return }
            let metadata = metadata.merging(event.metadata ?? [:]) { $1 }
            for (key, value) in metadata.sorted(by: { $0.key < $1.key }) { line += " \(key)=\(value)" }
        }
        var output = StandardOutput()
        output.write((line + "\n").utf8)
        output.flush()
    }
}

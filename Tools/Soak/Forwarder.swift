import Foundation

/// `scripts/soak.d/forwarder.py`, in a process of its own, so that its resources are not counted with this process.
///
/// The forwarder ends at the end of its standard input, and so never outlives this process.
actor Forwarder {
    private let process = Process()
    private let commands = Pipe()
    private let answers = Pipe()
    /// The port of each lane.
    let ports: [Int]

    init(script: String, lanes: Int) throws {
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["python3", script, "\(lanes)"]
        process.standardInput = commands
        process.standardOutput = answers
        try process.run()
        ports = try Self.line(from: answers).split(separator: " ").compactMap { Int($0) }
        guard ports.count == lanes else { throw SoakFailure("the forwarder did not start") }
    }

    /// The way in which the forwarder ends a connection: with a FIN or a RST, and never with TLS's close_notify.
    enum Ending: String, CaseIterable {
        case close, reset
    }

    /// Sends the lane's next connections to this port, and ends each when `bytes` bytes have arrived from there.
    func route(_ lane: Int, to port: Int, _ ending: Ending? = nil, after bytes: Int = 0) throws {
        try send("\(lane) route \(port)" + (ending.map { " \($0) \(bytes)" } ?? ""))
    }

    /// Ends the open connections of the lane.
    func end(_ lane: Int, _ ending: Ending) throws { try send("\(lane) \(ending)") }

    /// Returns the traffic of the lane's newest connection so far.
    func traffic(_ lane: Int) throws -> Traffic {
        let numbers = try send("\(lane) count").split(separator: " ").compactMap { Int($0) }
        guard numbers.count == 3 else { throw SoakFailure("the forwarder has not counted") }
        return Traffic(sent: numbers[0], received: numbers[1], roundTrips: numbers[2])
    }

    struct Traffic {
        var sent: Int
        var received: Int
        var roundTrips: Int
    }

    @discardableResult
    private func send(_ command: String) throws -> String {
        try commands.fileHandleForWriting.write(contentsOf: Data((command + "\n").utf8))
        return try Self.line(from: answers)
    }

    /// Reads an answer. Blocks the thread until the forwarder has answered, which takes less than a millisecond.
    private static func line(from pipe: Pipe) throws -> String {
        var line = Data()
        while let byte = try pipe.fileHandleForReading.read(upToCount: 1), !byte.isEmpty {
            if byte.first == UInt8(ascii: "\n") { return String(decoding: line, as: UTF8.self) }
            line += byte
        }
        throw SoakFailure("the forwarder has ended")
    }
}

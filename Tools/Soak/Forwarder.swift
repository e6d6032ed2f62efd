import Foundation

/// `scripts/soak.d/forwarder.py`, in a process of its own: what it holds and costs is not this process's.
///
/// It ends with its standard input, so it does not outlive this process, however that ends.
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

    /// How the forwarder ends a connection: with a FIN or a RST, and in neither case with TLS's close_notify.
    enum Ending: String, CaseIterable {
        case close, reset
    }

    /// Sends the lane's next connections to this port, and ends each when so many bytes have come from there.
    func route(_ lane: Int, to port: Int, _ ending: Ending? = nil, after bytes: Int = 0) throws {
        try send("\(lane) route \(port)" + (ending.map { " \($0) \(bytes)" } ?? ""))
    }

    /// Ends the connections that the lane has now.
    func end(_ lane: Int, _ ending: Ending) throws { try send("\(lane) \(ending)") }

    /// What the lane's newest connection has carried so far.
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

    /// Blocks the thread for as long as the forwarder needs, which is less than a millisecond.
    private static func line(from pipe: Pipe) throws -> String {
        var line = Data()
        while let byte = try pipe.fileHandleForReading.read(upToCount: 1), !byte.isEmpty {
            if byte.first == UInt8(ascii: "\n") { return String(decoding: line, as: UTF8.self) }
            line += byte
        }
        throw SoakFailure("the forwarder has ended")
    }
}

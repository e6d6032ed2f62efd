// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MosquittoTesting
import Testing
import Turns

@testable import RetrySimulation

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

@Suite(.turn(.simulation)) struct `The report of a simulation` {
    private static let report = Report(Scenario(clients: 50, outage: .seconds(10), capacity: 5))

    private func rows(_ csv: String) -> [Substring] { csv.split(separator: "\n", omittingEmptySubsequences: false) }

    @Test func `the command writes the CSV and the plot, and nothing else`() throws {
        let directory = try TemporaryDirectory()
        let arguments = ["--clients", "20", "--outage", "5", "--capacity", "4", "--output", directory.path]
        try RetrySimulation.parse(arguments).run()

        let files = try FileManager.default.contentsOfDirectory(atPath: directory.path)
        #expect(files.sorted() == ["retry-simulation.csv", "retry-simulation.svg"])
        let csv = try String(contentsOfFile: directory.path + "/retry-simulation.csv", encoding: .utf8)
        #expect(csv.hasPrefix("broker,second,swift-mosquitto,MQTT.js,"))
        #expect(csv.contains("\n4/s,5,"))
        #expect(csv.contains("\nunlimited,5,"))
    }

    @Test(arguments: ["--clients", "--outage", "--capacity"])
    func `a number below one is refused`(option: String) {
        #expect(throws: (any Error).self) { try RetrySimulation.parse([option, "0"]) }
    }

    @Test func `the CSV has a row for each second and a column for each policy`() throws {
        let rows = rows(arrivalsAsCSV([Self.report]))
        let seconds = try #require(Self.report.results.map(\.outcome.arrivals.count).max())
        // The header, and the end of the last line.
        #expect(rows.count == seconds + 2)
        #expect(rows.last == "")
        let names = [
            "swift-mosquitto", "MQTT.js", "\"libmosquitto, linear\"", "\"libmosquitto, quadratic\"", "Paho C", "HiveMQ",
            "aws-c-mqtt",
        ]
        #expect(rows.first == Substring("broker,second," + names.joined(separator: ",")))
        let arrivals = Self.report.ours.outcome.arrivals
        #expect(rows[3].hasPrefix("5/s,2,\(arrivals[2]),50,50,0,"))
        #expect(rows.dropFirst().dropLast().allSatisfy { $0.split(separator: ",").count == 9 })
    }

    @Test func `the plot has a line for each policy and its figures`() {
        let svg = Plot(report: Self.report).svg
        #expect(svg.hasPrefix("<svg xmlns=\"http://www.w3.org/2000/svg\""))
        #expect(svg.hasSuffix("</svg>\n"))
        #expect(svg.split(separator: "<path ").count == 8)
        #expect(!svg.contains("nan") && !svg.contains("inf"))
        for result in Self.report.results { #expect(svg.contains(">\(result.name)</text>")) }
        #expect(svg.contains(">peak 50, all back after 9 s</text>"))
    }

    @Test func `the table has a line for each policy`() {
        #expect(Self.report.table.contains("\n| MQTT.js | 50 | 9.0 s | 9.0 s | 4.0 s |\n"))
    }

    @Test func `the median of six is the mean of the third and the fourth`() {
        let times = Self.report.peers.map(\.outcome.fullRecovery).sorted()
        #expect(Self.report.medianPeerRecovery == (times[2] + times[3]) / 2)
    }

    @Test func `numbers are grouped by thousands`() {
        #expect([0, 999, 1_000, 1_234_567].map(grouped) == ["0", "999", "1,000", "1,234,567"])
    }
}

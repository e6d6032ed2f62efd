// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import Testing
import Turns

@testable import RetrySimulation

@Suite(.turn(.simulation)) struct `The delays of the peers` {
    /// The first delays of one client, in seconds.
    private func delays(_ policy: some PeerPolicy, count: Int) -> [Duration] {
        var generator = JitterGenerator(seed: 1)
        return (0..<count).map { policy.delay(failures: $0, using: &generator) }
    }

    /// The shortest and the longest of many delays after so many failures.
    private func bounds(_ policy: some PeerPolicy, failures: Int) -> (least: Duration, most: Duration) {
        var generator = JitterGenerator(seed: 1)
        let delays = (0..<2_000).map { _ in policy.delay(failures: failures, using: &generator) }
        return (delays.min()!, delays.max()!)
    }

    /// At most 2 % of the bound away from it, inside.
    private func reaches(_ bounds: (least: Duration, most: Duration), _ least: Double, _ most: Double) -> Bool {
        let margin = (most - least) * 0.02
        return (least...least + margin).contains(bounds.least.inSeconds)
            && (most - margin...most).contains(bounds.most.inSeconds)
    }

    @Test func `MQTT.js dials every second`() {
        #expect(delays(MQTTJSPolicy(), count: 40).allSatisfy { $0 == .seconds(1) })
    }

    @Test func `libmosquitto's linear delays are those of its documentation`() {
        #expect(delays(MosquittoLinearPolicy(), count: 7) == [2, 4, 6, 8, 10, 10, 10].map(Duration.seconds))
    }

    @Test func `libmosquitto's exponential delays are quadratic`() {
        #expect(delays(MosquittoQuadraticPolicy(), count: 6) == [3, 12, 27, 30, 30, 30].map(Duration.seconds))
        #expect(delays(MosquittoQuadraticPolicy(), count: 1_000).last == .seconds(30))
    }

    @Test(arguments: [(0, 0, 1), (1, 1, 2), (2, 3, 4), (3, 6, 9), (5, 26, 38), (6, 50, 72), (99, 50, 72)])
    func `Paho C draws whole seconds around a base that doubles`(failures: Int, least: Int, most: Int) {
        #expect(bounds(PahoCPolicy(), failures: failures) == (.seconds(least), .seconds(most)))
    }

    @Test(arguments: [(0, 1.0), (1, 2.0), (6, 64.0), (7, 120.0), (2_000, 120.0)])
    func `HiveMQ draws from a quarter below to a quarter above`(failures: Int, base: Double) {
        #expect(reaches(bounds(HiveMQPolicy(), failures: failures), base * 0.75, base * 1.25))
    }

    @Test(arguments: [(0, 1.0), (3, 8.0), (6, 64.0)])
    func `aws-c-mqtt draws from zero to the bound`(failures: Int, bound: Double) {
        #expect(reaches(bounds(AWSPolicy(), failures: failures), 0, bound))
    }

    @Test func `aws-c-mqtt caps what it has drawn`() {
        var generator = JitterGenerator(seed: 1)
        let capped = (0..<2_000).count { _ in AWSPolicy().delay(failures: 8, using: &generator) == .seconds(120) }
        // 120 of 256 s are below the cap.
        #expect((900...1_250).contains(capped))
        #expect(bounds(AWSPolicy(), failures: 2_000).most == .seconds(120))
    }
}

import Testing

@testable import Mosquitto

@Suite struct `The keep-alive` {
    @Test(arguments: [1, 2, 3, 5, 6, 10, 60, 3_600, 65_535])
    func `sends before it has passed, and gives up a keep-alive later`(seconds: Int) throws {
        let keepAlive = try #require(KeepAlive(seconds: seconds))
        // The first check may come right after the last packet.
        let latest = keepAlive.interval * keepAlive.pingAfter
        #expect(latest <= .seconds(seconds))
        #expect(latest >= .seconds(seconds) * 0.5 || seconds < 3)
        let wait = keepAlive.interval * (keepAlive.lostAfter - keepAlive.pingAfter)
        #expect(wait >= .seconds(seconds))
        #expect(wait <= .seconds(seconds) + .seconds(1))
        #expect(keepAlive.interval >= .seconds(1))
    }

    @Test func `of no seconds is none`() { #expect(KeepAlive(seconds: 0) == nil) }
}

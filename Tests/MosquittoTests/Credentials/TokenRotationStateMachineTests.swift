// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import Turns

@testable import Mosquitto

/// A rotation machine with a clock of its own, monotonic and wall together.
private struct Rotation {
    var machine: TokenRotationStateMachine
    var now = ContinuousClock.now
    var wall = Date(timeIntervalSince1970: 1_000_000)

    init(_ reuse: MQTTCredentialReuse = .untilRefresh, refreshAt: Double? = 0.8) {
        machine = TokenRotationStateMachine(reuse: reuse, refreshAt: refreshAt)
    }

    mutating func advance(_ seconds: Double) {
        now += .seconds(seconds)
        wall += seconds
    }

    /// "use NAME", "ask" or "fail".
    mutating func need(
        _ purpose: MQTTConnectAttempt.Purpose = .connect, refused: MQTTCredentials? = nil, isAsking: Bool = false
    ) -> String {
        switch machine.need(purpose, refused: refused, isAsking: isAsking, now: now) {
        case .use(let token): "use \(token.credentials.username ?? "")"
        case .ask: "ask"
        case .useAndAsk(let token): "use \(token.credentials.username ?? ""), ask"
        case .fail(let error): error.isPermanent ? "fail for good" : "fail"
        }
    }

    /// Lets the issuer return a token with this lifetime.
    @discardableResult
    mutating func give(_ name: String, life: Double = 3_600) -> TokenRotationStateMachine.Token {
        let issued = wall.timeIntervalSince1970
        let text = makeToken(#"{"iat":\#(issued),"exp":\#(issued + life),"name":"\#(name)"}"#)
        return machine.received(MQTTCredentials(username: name, password: MQTTSecret(text)), now: now, wall: wall)
    }

    mutating func fail(
        _ error: MQTTCredentialError?, _ purpose: MQTTConnectAttempt.Purpose = .connect,
        refused: MQTTCredentials? = nil, wasSlow: Bool = false
    ) -> String? {
        var failure = MQTTError(.credentials, "no", phase: .credentials)
        failure.underlying = error
        machine.failed(failure, wasSlow: wasSlow, now: now)
        return machine.held(for: purpose, refused: refused, now: now)?.credentials.username
    }
}

@Suite(.turn(.units)) struct `Asking a credential provider` {
    @Test func `what is cheap is asked for before every CONNECT`() {
        var rotation = Rotation(.never)
        for _ in 0..<3 {
            #expect(rotation.need() == "ask")
            rotation.give("a")
        }
        #expect(rotation.need(.rejected) == "ask")
    }

    @Test func `a reused token serves every CONNECT until it is due`() {
        var rotation = Rotation()
        #expect(rotation.need() == "ask")
        rotation.give("a", life: 100)
        #expect(rotation.need() == "use a")
        rotation.advance(79)
        #expect(rotation.need() == "use a")
        rotation.advance(2)
        #expect(rotation.need() == "ask")
    }

    @Test func `an opaque token without an expiry is not reused`() {
        var rotation = Rotation()
        #expect(rotation.need() == "ask")
        _ = rotation.machine.received(
            MQTTCredentials(username: "a", password: "opaque"), now: rotation.now, wall: rotation.wall)
        rotation.advance(10)
        #expect(rotation.need() == "ask")
    }

    @Test func `an opaque token with an expiry is`() {
        var rotation = Rotation()
        #expect(rotation.need() == "ask")
        _ = rotation.machine.received(
            MQTTCredentials(username: "a", password: "opaque", expiresAt: rotation.wall + 100), now: rotation.now,
            wall: rotation.wall)
        #expect(rotation.need() == "use a")
    }

    @Test func `a refused token is not used again, however long it would live`() {
        var rotation = Rotation()
        _ = rotation.need()
        let token = rotation.give("a")
        rotation.advance(10)
        #expect(rotation.need(.rejected, refused: token.credentials) == "ask")
    }

    @Test func `a refusal of an older token does not ask for a third one`() {
        var rotation = Rotation()
        _ = rotation.need()
        let old = rotation.give("old")
        rotation.advance(10)
        #expect(rotation.need(.rotation) == "ask")
        rotation.give("new")
        rotation.advance(10)
        #expect(rotation.need(.rejected, refused: old.credentials) == "use new")
    }

    // Build 6: the first refusal with a fresh token.
    @Test func `an issuer that was just asked is asked again at once after a refusal, once (core build 6)`() {
        var rotation = Rotation()
        _ = rotation.need()
        let first = rotation.give("a")
        rotation.advance(0.1)
        #expect(rotation.machine.wait(refused: first.credentials, now: rotation.now) == .zero)
        #expect(rotation.need(.rejected, refused: first.credentials) == "ask")
        let second = rotation.give("b")
        rotation.advance(0.1)
        let wait = rotation.machine.wait(refused: second.credentials, now: rotation.now)
        #expect((.milliseconds(4_890) ... .milliseconds(4_910)).contains(wait))
        #expect(rotation.need(.rejected, refused: second.credentials) == "fail")
        rotation.advance(4.91)
        #expect(rotation.machine.wait(refused: second.credentials, now: rotation.now) == .zero)
        #expect(rotation.need(.rejected, refused: second.credentials) == "ask")
    }

    @Test func `an issuer that was just asked is left alone without a refusal`() {
        var rotation = Rotation()
        _ = rotation.need()
        #expect(rotation.fail(.transient("down")) == nil)
        rotation.advance(1)
        #expect(rotation.machine.wait(refused: nil, now: rotation.now) == .seconds(4))
        #expect(rotation.need() == "fail")
        rotation.advance(4)
        #expect(rotation.need() == "ask")
    }

    @Test func `there is nothing to wait for with a token at hand, or after a permanent failure`() {
        var rotation = Rotation()
        _ = rotation.need()
        rotation.give("a")
        #expect(rotation.machine.wait(refused: nil, now: rotation.now) == .zero)
        _ = rotation.fail(.transient("429", retryAfter: .seconds(30)))
        #expect(rotation.machine.wait(refused: nil, now: rotation.now) == .zero)
        rotation.advance(3_600)
        _ = rotation.fail(.permanent("invalid_client"))
        #expect(rotation.machine.wait(refused: nil, now: rotation.now) == .zero)
    }

    @Test func `a time-out of any length does not trap (core 24)`() {
        var rotation = Rotation()
        _ = rotation.need()
        _ = rotation.fail(.transient("429", retryAfter: .seconds(Int64.max)))
        #expect(rotation.need() == "fail")
        #expect(rotation.machine.wait(refused: nil, now: rotation.now) == .longestWait)
    }

    @Test func `three refused tokens within a minute stop the questions for another one`() {
        var rotation = Rotation()
        var refused: MQTTCredentials?
        for name in ["a", "b", "c"] {
            #expect(rotation.need(.rejected, refused: refused) == "ask")
            refused = rotation.give(name).credentials
            rotation.advance(6)
        }
        #expect(rotation.need(.rejected, refused: refused) == "fail")
        rotation.advance(55)
        #expect(rotation.need(.rejected, refused: refused) == "fail")
        rotation.advance(6)
        #expect(rotation.need(.rejected, refused: refused) == "ask")
    }

    @Test func `one refusal that is heard of many times counts once`() {
        var rotation = Rotation()
        _ = rotation.need()
        let refused = rotation.give("a").credentials
        for _ in 0..<10 {
            rotation.advance(5.1)
            #expect(rotation.need(.rejected, refused: refused) == "ask")
        }
    }
}

@Suite(.turn(.units)) struct `A credential provider that fails` {
    @Test func `a token that is valid goes on being used`() {
        var rotation = Rotation()
        _ = rotation.need()
        rotation.give("a", life: 100)
        rotation.advance(90)
        #expect(rotation.need() == "ask")
        #expect(rotation.fail(.transient("down")) == "a")
        rotation.advance(11)
        #expect(rotation.need() == "ask")
        #expect(rotation.fail(.transient("down")) == nil)
    }

    @Test func `so it does for a provider that is asked every time`() {
        var rotation = Rotation(.never)
        _ = rotation.need()
        rotation.give("a", life: 100)
        rotation.advance(50)
        #expect(rotation.need() == "ask")
        #expect(rotation.fail(nil) == "a")
    }

    @Test func `a refused token does not, nor does one whose end is unknown`() {
        var rotation = Rotation(.never)
        _ = rotation.need()
        let refused = rotation.give("a").credentials
        #expect(rotation.need(.rejected, refused: refused) == "ask")
        #expect(rotation.fail(nil, .rejected, refused: refused) == nil)
        _ = rotation.machine.received(
            MQTTCredentials(username: "b", password: "opaque"), now: rotation.now, wall: rotation.wall)
        #expect(rotation.fail(nil) == nil)
    }

    @Test func `a rotation wants something new`() {
        var rotation = Rotation()
        _ = rotation.need()
        rotation.give("a")
        rotation.advance(10)
        #expect(rotation.need(.rotation) == "ask")
        #expect(rotation.fail(nil, .rotation) == nil)
    }

    @Test func `it is left alone for as long as it says`() {
        var rotation = Rotation(.never)
        #expect(rotation.need() == "ask")
        #expect(rotation.fail(.transient("429", retryAfter: .seconds(30))) == nil)
        rotation.advance(29)
        #expect(rotation.need() == "fail")
        rotation.advance(2)
        #expect(rotation.need() == "ask")
        rotation.give("a")
        #expect(rotation.need() == "ask")
    }

    @Test func `a permanent failure ends the questions`() {
        var rotation = Rotation(.never)
        #expect(rotation.need() == "ask")
        #expect(rotation.fail(.permanent("invalid_client")) == nil)
        rotation.advance(1_000_000)
        #expect(rotation.need() == "fail for good")
        #expect(rotation.need(.rotation) == "fail for good")
    }

    @Test func `a valid token outlives a permanent failure`() {
        var rotation = Rotation()
        _ = rotation.need()
        rotation.give("a", life: 100)
        rotation.advance(85)
        #expect(rotation.need(.rotation) == "ask")
        _ = rotation.fail(.permanent("invalid_client"), .rotation)
        #expect(rotation.need() == "use a")
        rotation.advance(20)
        #expect(rotation.need() == "fail for good")
    }

    @Test func `the user's wish forgives all of it`() {
        var rotation = Rotation()
        _ = rotation.need()
        _ = rotation.fail(.permanent("invalid_client"))
        rotation.machine.forgive()
        #expect(rotation.need() == "ask")
    }
}

@Suite(.turn(.units)) struct `A credential provider that hangs (core 4)` {
    /// A token of one hour, and a request for another one that took too long.
    private func hung(_ reuse: MQTTCredentialReuse = .never, in purpose: MQTTConnectAttempt.Purpose = .connect)
        -> Rotation
    {
        var rotation = Rotation(reuse)
        _ = rotation.need()
        rotation.give("a")
        rotation.advance(3_000)
        #expect(rotation.need(purpose) == "ask")
        _ = rotation.fail(nil, purpose, wasSlow: true)
        return rotation
    }

    @Test(arguments: [MQTTConnectAttempt.Purpose.connect, .rotation], [MQTTCredentialReuse.never, .untilRefresh])
    func `what is held is used at once the next time`(purpose: MQTTConnectAttempt.Purpose, reuse: MQTTCredentialReuse) {
        var rotation = hung(reuse, in: purpose)
        rotation.advance(0.1)
        #expect(rotation.need() == "use a")
    }

    @Test func `it is asked meanwhile, with a growing delay`() {
        var rotation = hung()
        for delay in [1, 2, 4, 8, 16, 32, 60, 60] {
            rotation.advance(Double(delay) - 0.1)
            #expect(rotation.need() == "use a")
            rotation.advance(0.2)
            #expect(rotation.need() == "use a, ask")
            _ = rotation.fail(nil, wasSlow: true)
        }
    }

    @Test func `nobody with a valid token waits for the question that is under way`() {
        var rotation = hung()
        rotation.advance(2)
        #expect(rotation.need() == "use a, ask")
        #expect(rotation.need(isAsking: true) == "use a")
        #expect(rotation.need(.rotation, isAsking: true) == "ask")
        rotation.advance(600)
        #expect(rotation.need(isAsking: true) == "ask", "its token is over")
    }

    @Test func `a refused token is not used, however slow the provider is`() {
        var rotation = Rotation(.never)
        _ = rotation.need()
        let refused = rotation.give("a").credentials
        rotation.advance(10)
        _ = rotation.need()
        _ = rotation.fail(nil, wasSlow: true)
        #expect(rotation.need(.rejected, refused: refused) == "ask")
    }

    @Test func `it is trusted again when it has answered, and a quick failure changes nothing`() {
        var rotation = hung()
        rotation.advance(2)
        #expect(rotation.need() == "use a, ask")
        rotation.give("b")
        #expect(rotation.need() == "ask")
        _ = rotation.fail(.transient("down"))
        #expect(rotation.need() == "ask")
    }
}

@Suite(.turn(.units)) struct `A token that is not valid yet` {
    private func wait(_ payload: String) -> Duration {
        var rotation = Rotation()
        let token = rotation.machine.received(
            MQTTCredentials(password: MQTTSecret(makeToken(payload))), now: rotation.now, wall: rotation.wall)
        return token.usableAt - rotation.now
    }

    @Test func `it is waited for`() {
        #expect(wait(#"{"iat":1000000,"nbf":1000007,"exp":1003600}"#) == .seconds(7))
        #expect(wait(#"{"nbf":1000007}"#) == .seconds(7))
    }

    @Test func `not for longer than half a minute`() {
        #expect(wait(#"{"iat":1000000,"nbf":1007200}"#) == .seconds(30))
        #expect(wait(#"{"nbf":1e300}"#) == .seconds(30))
    }

    @Test func `not at all if it was valid when it was issued: this clock is behind`() {
        #expect(wait(#"{"iat":1003600,"nbf":1003600,"exp":1007200}"#) == .zero)
    }

    @Test func `not at all if it is valid or does not say`() {
        #expect(wait(#"{"nbf":999999}"#) == .zero)
        #expect(wait(#"{}"#) == .zero)
    }
}

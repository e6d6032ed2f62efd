import Foundation
import Testing

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
        _ purpose: MQTTConnectAttempt.Purpose = .connect, refused: MQTTCredentials? = nil
    ) -> String {
        switch machine.need(purpose, refused: refused, now: now) {
        case .use(let token): "use \(token.credentials.username ?? "")"
        case .ask: "ask"
        case .fail(let error): error.isPermanent ? "fail for good" : "fail"
        }
    }

    /// The issuer gives a token of this life.
    @discardableResult
    mutating func give(_ name: String, life: Double = 3_600) -> TokenRotationStateMachine.Token {
        let issued = wall.timeIntervalSince1970
        let text = makeToken(#"{"iat":\#(issued),"exp":\#(issued + life),"name":"\#(name)"}"#)
        return machine.received(MQTTCredentials(username: name, password: MQTTSecret(text)), now: now, wall: wall)
    }

    mutating func fail(
        _ error: MQTTCredentialError?, _ purpose: MQTTConnectAttempt.Purpose = .connect,
        refused: MQTTCredentials? = nil
    ) -> String? {
        var failure = MQTTError(.credentials, "no", phase: .credentials)
        failure.underlying = error
        return machine.failed(failure, purpose, refused: refused, now: now)?.credentials.username
    }
}

@Suite struct `Asking a credential provider` {
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

    @Test func `an issuer that was just asked is left alone`() {
        var rotation = Rotation()
        _ = rotation.need()
        let token = rotation.give("a")
        rotation.advance(1)
        #expect(rotation.need(.rejected, refused: token.credentials) == "fail")
        rotation.advance(4.5)
        #expect(rotation.need(.rejected, refused: token.credentials) == "ask")
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

@Suite struct `A credential provider that fails` {
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

@Suite struct `A token that is not valid yet` {
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

// SPDX-License-Identifier: Apache-2.0

import Logging

/// A connection attempt, from a name to a connected socket.
extension Session {
    /// Prepares TLS, asks for the proxy's authorization and resolves the name, all off the loop, and connects.
    func dial() {
        let preparation = dialer.prepare(machine.dialContext)
        Task { [weak self, logger] in
            let prepared = await SecretFileWarnings.$logger.withValue(logger) { await preparation.run() }
            await self?.connect(prepared, preparation)
        }
    }

    private func connect(_ prepared: Dialer.Prepared, _ preparation: Dialer.Preparation) {
        guard preparation.attempt == generation, case .dialing(.resolve) = machine.state else { return }
        do throws(MQTTError) {
            let addresses = try dialer.take(prepared)
            perform(machine.entered(.connect))
            try dialer.connect(
                to: addresses, of: preparation.endpoint, try keeper.show(to: preparation.endpoint), client: self)
            staggerRace()
        } catch {
            fail(error)
        }
    }

    /// Restarts the delay of the next address, which counts from the last address tried.
    private func staggerRace() {
        timers.cancel(.race)
        guard let delay = dialer.stagger else { return }
        setTimer(.race, after: delay) { session in
            do throws(MQTTError) {
                try session.dialer.startNext()
                session.staggerRace()
            } catch {
                session.fail(error)
            }
        }
    }

    /// Handles a ready socket of the race.
    func raceReady(_ token: UInt64) {
        do throws(MQTTError) {
            guard let connection = try dialer.ready(token, of: machine.endpoint) else { return staggerRace() }
            timers.cancel(.race)
            let link = try Link(connection, loop: loop, client: self)
            self.link = link
            try follow(try connection.start(), of: connection)
        } catch {
            fail(error)
        }
    }
}

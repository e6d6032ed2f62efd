// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Mosquitto

/// The command and its subcommands.
struct Mosq: AsyncParsableCommand {
    static let number = "0.1.0"

    static let configuration = CommandConfiguration(
        commandName: "mosq",
        abstract: "An MQTT client for the terminal: mosquitto's commands, with retry and token rotation.",
        version: "mosq \(number), on libmosquitto \(MosquittoLibrary.version)",
        subcommands: subcommands,
        // -h is the host.
        helpNames: .long
    )

    private static var subcommands: [any ParsableCommand.Type] {
        var commands: [any ParsableCommand.Type] = [
            Pub.self, Sub.self, Rr.self, Doctor.self, Health.self, Bench.self,
        ]
        #if Testing
        commands.append(Demo.self)
        #endif
        return commands
    }
}

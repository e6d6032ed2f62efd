// SPDX-License-Identifier: Apache-2.0

#if Testing
import ArgumentParser
import Mosquitto

/// `mosq demo`: the life of one client with short-lived tokens, on one screen.
struct Demo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo", abstract: "Show the life of a client with short-lived tokens on an embedded TLS broker.")

    enum Broker: String, ExpressibleByArgument, CaseIterable { case embedded, mosquitto }

    @Option(help: "The broker: embedded, or a mosquitto that is installed here.")
    var broker = Broker.embedded

    func run() async throws {
        let stage: any DemoStage
        do {
            switch broker {
            case .embedded: stage = try EmbeddedStage()
            case .mosquitto: stage = try MosquittoStage()
            }
        } catch {
            throw CommandFailure(message: "the demo cannot be set up: \(error)")
        }
        let screen = DemoScreen()
        let story = try DemoStory(stage, screen: screen)
        let summary: DemoSummary
        do {
            summary = try await story.tell()
        } catch {
            await stage.stop()
            throw CommandFailure(message: "the demo did not get to its end: \(error)")
        }
        await stage.stop()
        screen.show(summary)
        if summary.lost > 0 { throw CommandFailure(message: "\(summary.lost) messages were lost.") }
        if let missing = summary.missing { throw CommandFailure(message: "the demo did not show \(missing).") }
    }
}
#endif

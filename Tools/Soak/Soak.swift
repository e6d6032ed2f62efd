import ArgumentParser

/// Long measurements by hand: `scripts/soak` builds and runs them.
@main
struct Soak: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measurements that are too long for the tests.", subcommands: [RotationGaps.self])
}

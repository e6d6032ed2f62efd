// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// Reads the words of `pub`, `sub` and `rr` into their structs, without the argument parser.
///
/// swift-argument-parser finds the properties of a command by reflection, at each start anew: seven of ten instructions
/// of `mosq pub`. The declarations of the properties are the parser's all the same: help, completions and man pages are
/// made of them. The parser also gets all words that this reader does not understand, since it can say what is wrong.
/// `ReadArgumentTests` compares the two, flag by flag.
///
/// A flag that is given more than once has its last value, as with the parser. A value may be any word, as for
/// mosquitto; the parser refuses a few, such as `---`.
struct ArgumentReader {
    /// The flags that no property has taken yet, in order; the value is `nil` for a flag without one.
    private var given: [(flag: String, value: String?)] = []
    /// False once a property could not take its flags.
    private var isUnderstood = true

    private init(_ words: ArraySlice<String>, of command: ReferenceCommand) {
        var rest = words
        while let word = rest.popFirst() {
            given.append((word, command.takesValue(word) ? rest.popFirst() : nil))
        }
    }

    /// Returns the command that the arguments describe; `nil` if only the argument parser understands them, or can say
    /// what is wrong.
    ///
    /// - Parameter arguments: the subcommand and its words, as ``ReferenceArguments`` has left them.
    static func command(_ arguments: [String]) -> (any AsyncParsableCommand)? {
        guard let command = arguments.first.flatMap({ ReferenceCommand(rawValue: $0) }) else { return nil }
        var reader = ArgumentReader(arguments.dropFirst(), of: command)
        var result = command.type.init()
        result.read(&reader)
        return reader.isUnderstood && reader.given.isEmpty ? result : nil
    }

    /// Returns options that have taken their flags.
    mutating func group<Group: ReadableArguments>() -> Group {
        var group = Group()
        group.read(&self)
        return group
    }

    /// Returns true if the flag is given, by any of its names.
    mutating func flag(_ names: String...) -> Bool { !take(names).isEmpty }

    /// Returns the values of an option that may be repeated.
    mutating func texts(_ names: String...) -> [String] { values(names) { $0 } }

    /// Returns the value of an option.
    mutating func text(_ names: String...) -> String? { values(names) { $0 }.last }

    /// Returns the value of an option that is a number.
    mutating func number<Number: LosslessStringConvertible>(_ names: String...) -> Number? {
        values(names) { Number($0) }.last
    }

    private mutating func values<Value>(_ names: [String], _ value: (String) -> Value?) -> [Value] {
        let taken = take(names)
        let values = taken.compactMap { $0.flatMap(value) }
        if values.count < taken.count { isUnderstood = false }
        return values
    }

    private mutating func take(_ names: [String]) -> [String?] {
        let taken = given.filter { names.contains($0.flag) }
        if !taken.isEmpty { given.removeAll { names.contains($0.flag) } }
        return taken.map(\.value)
    }
}

/// Options that an ``ArgumentReader`` can read.
protocol ReadableArguments: ParsableArguments {
    /// Sets each property from its flags, under the names of its declaration, or to its declared default.
    ///
    /// Not an initializer: the optimizer of Swift 6.3.1 crashes at one that assigns to properties with wrappers.
    mutating func read(_ words: inout ArgumentReader)
}

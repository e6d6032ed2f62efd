// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTokens

// The token of a service principal: the scope ends in "/.default".
let tokens = MQTTOAuth2Credentials.oauth2ClientCredentials(
    tokenURL: "https://login.microsoftonline.com/00000000-0000-0000-0000-000000000000/oauth2/v2.0/token",
    clientID: "11111111-1111-1111-1111-111111111111", authentication: .basicFile("/etc/kitchen/client-secret"),
    scope: "https://eventgrid.azure.net/.default")
let configuration = MQTTClientConfiguration.azureEventGrid(
    host: "kitchens.westeurope-1.ts.eventgrid.azure.net", clientID: "kitchen-1", authentication: .entra(tokens))

try await withMQTTClient(configuration) { client in
    try await client.subscribe(to: "kitchens/+/commands") { messages in
        try await client.publish(#"{"celsius": 21.5}"#, to: "kitchens/1/telemetry")
        for await message in messages { print(message.topic, message.payloadString) }
    }
}

// SPDX-License-Identifier: Apache-2.0

// MQTT.js in Node.js. The publisher goes on when the library's callbacks say so, as its users do.
'use strict'
const fs = require('fs')
const { parseArgs } = require('util')
const mqtt = require('mqtt')

const fail = (error) => {
  console.error(`mqttjs: ${error.message ?? error}`)
  process.exit(1)
}

const { values, positionals: [work] } = parseArgs({
  allowPositionals: true,
  options: Object.fromEntries(
    ['port', 'cafile', 'path', 'messages', 'size', 'window', 'tasks'].map((name) => [name, { type: 'string' }]))
})
if (work === 'publish-qos0-awaited') process.exit(3)
const messages = Number(values.messages ?? (work === 'latency-qos1' ? 20000 : 300000))
const window = Number(values.window ?? 256)
const size = Number(values.size ?? 64)
const payload = Buffer.alloc(size)
const latencies = []

let first
const begin = () => { first = { now: process.hrtime.bigint(), cpu: process.cpuUsage() } }
const finish = () => {
  const seconds = Number(process.hrtime.bigint() - first.now) / 1e9
  const cpu = process.cpuUsage(first.cpu)
  const report = {
    program: 'mqttjs', work, messages, seconds, userSeconds: cpu.user / 1e6, systemSeconds: cpu.system / 1e6,
    peakKB: process.resourceUsage().maxRSS
  }
  if (latencies.length > 0) {
    latencies.sort((a, b) => a - b)
    const at = (part) => latencies[Math.floor((latencies.length - 1) * part)]
    Object.assign(report, { p50us: at(0.5), p90us: at(0.9), p99us: at(0.99), maxus: at(1) })
  }
  console.log(JSON.stringify(report))
  client.end()
}

const publish = (qos, done) => client.publish('bench', payload, { qos }, (error) => error ? fail(error) : done())

// A callback of QoS 0 comes when the socket takes more. A thousand at a time: what is published in one go is written
// in one.
const publishQoS0 = () => {
  let left = messages - 1
  const next = () => {
    if (left === 0) return publish(1, finish)
    const count = Math.min(left, 1000)
    left -= count
    for (let i = 1; i < count; i++) client.publish('bench', payload, { qos: 0 })
    publish(0, () => setImmediate(next))
  }
  begin()
  next()
}

const publishQoS1 = () => {
  let sent = 0
  let acknowledged = 0
  const next = () => {
    sent++
    publish(1, () => {
      if (++acknowledged === messages) finish()
      else if (sent < messages) next()
    })
  }
  begin()
  for (let i = 0; i < Math.min(window, messages); i++) next()
}

const latencyQoS1 = () => {
  const next = () => {
    const start = process.hrtime.bigint()
    publish(1, () => {
      latencies.push(Number(process.hrtime.bigint() - start) / 1e3)
      if (latencies.length === messages) finish()
      else next()
    })
  }
  begin()
  next()
}

const receive = (qos) => {
  let arrived = 0
  client.on('message', () => {
    if (++arrived === 1) begin()
    if (arrived === messages) finish()
  })
  client.subscribe(`send/${qos}/${messages}/${size}`, { qos }, (error) => { if (error) fail(error) })
}

const works = {
  'publish-qos0': publishQoS0,
  'publish-qos1': publishQoS1,
  'receive-qos0': () => receive(0),
  'receive-qos1': () => receive(1),
  'latency-qos1': latencyQoS1
}
if (!Object.hasOwn(works, work ?? '')) fail(`unknown work: ${work}`)
const scheme = (values.path ? 'ws' : 'mqtt') + (values.cafile ? 's' : '')
const client = mqtt.connect(`${scheme}://localhost:${values.port}${values.path ?? ''}`, {
  ca: values.cafile && fs.readFileSync(values.cafile), reconnectPeriod: 0, family: 4
})
client.on('error', fail)
client.on('connect', works[work])

//! One side of the interop tests: sends numbered orders, or handles them. `cargo xtask interop messaging`
//! runs it against real brokers and another language's client; it says what it does in lines of JSON.

mod databases;
mod handler;
mod kafka;
mod mqtt;
mod nats;
mod rabbitmq;

use anyhow::bail;
use clap::{Parser, Subcommand};
use handler::{Handler, Sender};
use std::time::Duration;

/// Sends orders, or handles them.
#[derive(Debug, Parser)]
struct Args {
    /// Where the broker is: `nats://..`, `amqp://..`, `kafka://host:port`, `mqtt://host:port`.
    #[arg(long, default_value = "")]
    broker: String,
    /// The topic, queue or subject.
    #[arg(long, default_value = "orders")]
    destination: String,
    #[command(subcommand)]
    does: Does,
}

#[derive(Debug, Subcommand)]
enum Does {
    /// Sends so many orders, each until the broker has it.
    Send {
        #[arg(long, default_value_t = 1)]
        count: u64,
        /// Milliseconds that each consumer is given.
        #[arg(long)]
        deadline: Option<u64>,
        /// Sends one order at each pause, in microseconds.
        #[arg(long, default_value_t = 0)]
        pause: u64,
    },
    /// Handles orders until there were so many new ones, for ever if 0.
    Receive {
        #[arg(long, default_value_t = 0)]
        count: u64,
        #[arg(long, default_value = "mailer")]
        group: String,
        /// Where effects are written, and the inbox is: `postgres://..`; in memory if it is not said.
        #[arg(long)]
        postgres: Option<String>,
        /// Where the inbox is: `host:port` of a Redis.
        #[arg(long)]
        redis: Option<String>,
        /// Waits for a line of input between effect and acknowledgement, and blocks its thread.
        #[arg(long)]
        step: bool,
        /// Says every 100 ms what the gauges show.
        #[arg(long)]
        watch: bool,
    },
    /// Asks so often, and waits for each answer.
    Request {
        #[arg(long, default_value_t = 1)]
        count: u64,
        #[arg(long, default_value_t = 1000)]
        deadline: u64,
    },
    /// Answers what is asked.
    Answer,
    /// Asks of a database what an inbox and an outbox promise: `postgres://..`, `mysql://..`,
    /// `sqlite://file`.
    Exercise { database: String },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let (scheme, _) = args.broker.split_once("://").unwrap_or((&args.broker, ""));
    let scheme = scheme.to_owned();
    match args.does {
        Does::Send { count, deadline, pause } => {
            let pause = Duration::from_micros(pause);
            let mut sender = Sender::new(count, deadline.map(Duration::from_millis), pause)?;
            while !sender.is_done() {
                if let Err(error) =
                    send(&scheme, &args.broker, &args.destination, &mut sender).await
                {
                    eprintln!("sending again: {error:#}");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
            sender.tell();
        }
        Does::Receive { count, group, postgres, redis, step, watch } => {
            let mut handler =
                Handler::new(count, step, postgres.as_deref(), redis.as_deref()).await?;
            let watching = watch.then(|| tokio::spawn(handler::watch(handler.metrics())));
            while !handler.is_done() {
                let received =
                    receive(&scheme, &args.broker, &args.destination, &group, &mut handler).await;
                if let Err(error) = received {
                    eprintln!("receiving again: {error:#}");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
            watching.inspect(tokio::task::JoinHandle::abort);
            handler.tell();
        }
        Does::Exercise { database } => databases::exercise(&database).await?,
        Does::Request { count, deadline } if scheme == "nats" => {
            let deadline = Duration::from_millis(deadline);
            nats::request(&args.broker, &args.destination, count, deadline).await?;
        }
        Does::Request { count, deadline } if scheme == "amqp" => {
            let deadline = Duration::from_millis(deadline);
            rabbitmq::request(&args.broker, &args.destination, count, deadline).await?;
        }
        Does::Answer if scheme == "nats" => nats::answer(&args.broker, &args.destination).await?,
        Does::Answer if scheme == "amqp" => {
            rabbitmq::answer(&args.broker, &args.destination).await?;
        }
        Does::Request { .. } | Does::Answer => bail!("{scheme} has no requests here"),
    }
    Ok(())
}

async fn send(
    scheme: &str,
    broker: &str,
    destination: &str,
    sender: &mut Sender,
) -> anyhow::Result<()> {
    match scheme {
        "nats" => nats::send(broker, destination, sender).await,
        "amqp" => rabbitmq::send(broker, destination, sender).await,
        "kafka" => kafka::send(broker, destination, sender).await,
        "mqtt" => mqtt::send(broker, destination, sender).await,
        _ => bail!("no broker is known by `{scheme}`"),
    }
}

async fn receive(
    scheme: &str,
    broker: &str,
    destination: &str,
    group: &str,
    handler: &mut Handler,
) -> anyhow::Result<()> {
    match scheme {
        "nats" => nats::receive(broker, destination, group, handler).await,
        "amqp" => rabbitmq::receive(broker, destination, handler).await,
        "kafka" => kafka::receive(broker, destination, group, handler).await,
        "mqtt" => mqtt::receive(broker, destination, handler).await,
        _ => bail!("no broker is known by `{scheme}`"),
    }
}

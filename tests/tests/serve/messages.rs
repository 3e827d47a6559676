//! How serving ends where messages are in hand.

use super::*;
use meshwise::messaging::System;

#[tokio::test]
async fn messages_in_hand_are_waited_for_and_those_that_come_later_are_not() {
    let mesh = TestMesh::new("mailer");
    let mut up = Up::new(&mesh, routes(), plain).await;
    let consumer = mesh.messaging().consumer(System::NATS, "order.placed");
    let headers: Vec<(String, String)> = Vec::new();
    let in_hand: Vec<_> = (0..3).map(|_| consumer.receive(&headers)).collect();
    up.stop();
    mesh.health().drained().await;
    eventually("the port is closed", || std::net::TcpStream::connect(up.address).is_err()).await;
    for processing in in_hand {
        assert!(!up.task.is_finished());
        processing.ack();
    }
    let _later = consumer.receive(&headers);
    up.ended().await;
    assert_eq!(mesh.spans().named("process order.placed").data().len(), 3, "all were exported");
    mesh.lines().containing("messages in hand").assert_none();
}

#[tokio::test]
async fn messages_that_are_not_settled_in_time_are_told() {
    let mesh = TestMesh::new("mailer");
    let mut up = Up::new(&mesh, routes(), |server| {
        server.with_drain_delay(Duration::ZERO).with_drain_timeout(Duration::from_millis(50))
    })
    .await;
    let consumer = mesh.messaging().consumer(System::NATS, "order.placed");
    let headers: Vec<(String, String)> = Vec::new();
    let _left = [consumer.receive(&headers), consumer.receive(&headers)];
    up.stop();
    up.ended().await;
    let line = mesh.lines().containing("messages in hand were not settled").one();
    line.assert_field("messages", 2);
}
